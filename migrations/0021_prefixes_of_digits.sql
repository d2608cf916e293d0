-- Illinois and Ohio begin the numbers of a profession with digits of its own, which people leave out.
UPDATE credential_types SET number_prefix = '227', number_pattern = '^(227\.?)?\d{6}$' WHERE code = 'US-IL-LMT' AND number_prefix = '';
UPDATE credential_types SET number_prefix = '33', number_pattern = '^(33\.?)?\d{6}$' WHERE code = 'US-OH-LMT' AND number_prefix = '';
