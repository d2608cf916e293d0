//! A letter: typed blocks, from which its plain text and its HTML are both made, so that neither says what the other does not.

use super::wording::Locale;

/// A part of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Names and what belongs to them.
    Facts(Vec<(String, String)>),
    /// Something to be typed elsewhere, with its name.
    Code(String, String),
    /// Something to be followed, with where it leads.
    Button(String, String),
}

/// A letter to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The language that all of it is in.
    pub locale: Locale,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// Why it is sent, and where that is changed: lines, some with an address after them.
    pub footer: Vec<(String, Option<String>)>,
}

impl Letter {
    /// As plain text, in lines that readers break as they like.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            match block {
                Block::Text(words) => text.push_str(words),
                Block::Facts(facts) => {
                    let lines: Vec<String> = facts.iter().map(|(name, fact)| format!("{name}: {fact}")).collect();
                    text.push_str(&lines.join("\n"));
                }
                Block::Code(name, code) => text.push_str(&format!("{name}: {code}")),
                Block::Button(name, to) => text.push_str(&format!("{name}: {to}")),
            }
            text.push_str("\n\n");
        }
        // What follows is no part of the letter for mail programs (RFC 3676, 4.3).
        text.push_str("-- \n");
        for (words, to) in &self.footer {
            text.push_str(&[words.as_str(), to.as_deref().unwrap_or_default()].join(" "));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    /// As HTML that reads well on a phone: one column, no pictures, no scripts, nothing from elsewhere.
    pub fn html(&self) -> String {
        let mut body = String::new();
        for block in &self.blocks {
            body.push_str(&match block {
                Block::Text(words) => format!("<p style=\"margin:0 0 16px\">{}</p>\n", escaped(words)),
                Block::Facts(facts) => {
                    let rows = facts.iter().map(|(name, fact)| {
                        format!(
                            "<tr><td style=\"padding:4px 16px 4px 0;color:#5b6470;vertical-align:top\">{}</td>\
                             <td style=\"padding:4px 0;font-weight:600\">{}</td></tr>\n",
                            escaped(name),
                            escaped(fact)
                        )
                    });
                    format!(
                        "<table role=\"presentation\" style=\"border-collapse:collapse;margin:0 0 16px\">\n{}</table>\n",
                        rows.collect::<String>()
                    )
                }
                Block::Code(name, code) => format!(
                    "<p style=\"margin:0 0 16px\">{}:<br><span style=\"font-size:28px;letter-spacing:4px;font-weight:700\">{}</span></p>\n",
                    escaped(name),
                    escaped(code)
                ),
                Block::Button(name, to) => format!(
                    "<p style=\"margin:0 0 24px\"><a href=\"{}\" style=\"display:inline-block;background:#1f5f4a;color:#ffffff;\
                     padding:12px 20px;border-radius:6px;text-decoration:none;font-weight:600\">{}</a></p>\n",
                    escaped(to),
                    escaped(name)
                ),
            });
        }
        let footer = self.footer.iter().map(|(words, to)| match to {
            Some(to) => {
                format!("{} <a href=\"{to}\" style=\"color:#5b6470\">{to}</a><br>\n", escaped(words), to = escaped(to))
            }
            None => format!("{}<br>\n", escaped(words)),
        });
        format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n</head>\n\
             <body style=\"margin:0;padding:24px 12px;background:#f4f5f3;color:#1d2329;\
             font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif\">\n\
             <div style=\"max-width:560px;margin:0 auto;background:#ffffff;border-radius:8px;padding:24px;overflow-wrap:anywhere\">\n\
             <h1 style=\"font-size:20px;line-height:1.3;margin:0 0 16px\">{}</h1>\n{body}</div>\n\
             <p style=\"max-width:560px;margin:16px auto 0;padding:0 12px;font-size:13px;color:#5b6470;overflow-wrap:anywhere\">\n{}</p>\n\
             </body>\n</html>\n",
            self.locale.tag(),
            escaped(&self.subject),
            escaped(&self.subject),
            footer.collect::<String>()
        )
    }
}

/// Text as HTML has it, also within quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_html_say_the_same_and_names_are_no_markup() {
        let letter = Letter {
            locale: Locale::De,
            subject: "Termin mit <b>Amy</b>".to_owned(),
            blocks: vec![
                Block::Text("Guten Tag Amy & Co,".to_owned()),
                Block::Facts(vec![("Wann".to_owned(), "Donnerstag".to_owned())]),
                Block::Code("Ihr Code".to_owned(), "12345678".to_owned()),
                Block::Button("Öffnen".to_owned(), "https://knead.example/?a=1&b=\"2\"".to_owned()),
            ],
            footer: vec![
                ("Warum".to_owned(), None),
                ("Einstellungen:".to_owned(), Some("https://knead.example/s".to_owned())),
            ],
        };
        let (text, html) = (letter.text(), letter.html());
        assert_eq!(
            text,
            "Guten Tag Amy & Co,\n\nWann: Donnerstag\n\nIhr Code: 12345678\n\nÖffnen: https://knead.example/?a=1&b=\"2\"\n\n\
             -- \nWarum\nEinstellungen: https://knead.example/s\n"
        );
        assert!(html.contains("lang=\"de\"") && html.contains("&lt;b&gt;Amy&lt;/b&gt;") && !html.contains("<b>"));
        assert!(html.contains("href=\"https://knead.example/?a=1&amp;b=&quot;2&quot;\""));
        for said in ["Amy &amp; Co", "Wann", "Donnerstag", "12345678", "Öffnen", "Warum", "https://knead.example/s"] {
            assert!(html.contains(said), "{said}");
        }
    }
}
