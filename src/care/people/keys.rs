//! A key for each person. It is sealed by the data keys, so that another data key rewrites one row of a person; and to delete it erases all that it sealed.

use secrecy::SecretString;

use crate::cipher::{Cipher, Sealed, generate_data_key};
use crate::error::{Error, Result};
use crate::ids::RecipientId;
use crate::seals::{KeptIn, SealedColumn, SealedTable};

/// The table of keys, which the data keys seal. What a person's own key seals needs no new seal when those change.
pub const SUBJECT_KEYS: SealedTable = SealedTable {
    name: "subject_keys",
    columns: &[SealedColumn { bound_to: KEY, row: "id", kept: KeptIn::Column("key_sealed") }],
};

/// The column of keys, to which they are sealed.
const KEY: &str = "subject_keys.key";

/// A fresh key of a person: what seals with it, and the key itself as it is kept.
pub(super) fn generate(cipher: &Cipher, person: RecipientId) -> Result<(Cipher, Sealed)> {
    let key = generate_data_key()?;
    let kept = cipher.seal(KEY, person, &key)?;
    Ok((of(key)?, kept))
}

/// What seals and opens with the key of a person, as it was kept.
pub(super) fn open(cipher: &Cipher, person: RecipientId, kept: &Sealed) -> Result<Cipher> {
    of(cipher.open(KEY, person, kept)?)
}

fn of(key: String) -> Result<Cipher> {
    Cipher::new(&SecretString::from(key)).map_err(Error::Internal)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn what_a_person_sealed_opens_with_that_persons_key_alone() {
        let data = Cipher::new(&generate_data_key().expect("a key").into()).expect("a cipher");
        let (one, other) = (RecipientId::new(DateTime::UNIX_EPOCH), RecipientId::new(DateTime::UNIX_EPOCH));
        let (own, kept) = generate(&data, one).expect("a key");
        let (others, _) = generate(&data, other).expect("a key");
        let sealed = own.seal("screenings.answers", 1, "pregnant").expect("sealed");
        let again = open(&data, one, &kept).expect("the same key");
        assert_eq!(again.open("screenings.answers", 1, &sealed).expect("opened"), "pregnant");
        assert!(
            others.open("screenings.answers", 1, &sealed).is_err()
                && data.open("screenings.answers", 1, &sealed).is_err()
        );
        assert!(open(&data, other, &kept).is_err(), "a key is bound to its person");
    }
}
