//! JSON documents → CSV: what scripts read and what spreadsheets read are the same figures.

use std::borrow::Cow;
use std::io::Write;

use serde_json::Value;

/// One column: its name, and where its value is in a document (RFC 6901).
pub(super) type Column = (&'static str, &'static str);

/// Writes a heading and a row for each document. What a document does not have is left empty.
pub(super) fn write(
    out: &mut impl Write,
    columns: &[Column],
    documents: impl IntoIterator<Item = Value>,
) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|(name, _)| name))?;
    for document in documents {
        csv.write_record(columns.iter().map(|(_, place)| text(document.pointer(place))))?;
    }
    csv.flush()?;
    Ok(())
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => inert(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"): a quote before what one
/// begins with. Telephone numbers stay as they are.
pub(in crate::cli) fn inert(text: &str) -> Cow<'_, str> {
    let is_number = |digits: &str| digits.chars().all(|c| c.is_ascii_digit() || c == '•');
    match text.chars().next() {
        Some('+') if is_number(&text[1..]) => Cow::Borrowed(text),
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => Cow::Owned(format!("'{text}")),
        Some(_) | None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_an_empty_cell() {
        let documents = [
            json!({ "group": "support, second line", "mean": { "low": 3.5 } }),
            json!({ "group": null }),
        ];
        let mut out = Vec::new();
        write(&mut out, &[("group", "/group"), ("low", "/mean/low")], documents).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "group,low\n\"support, second line\",3.5\n,\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0", "\t=1", "\r=1", "+7916=1"] {
            assert_eq!(inert(text), format!("'{text}"));
        }
        for text in ["anna", "+79161112233", "+7916•••2233", "2026-11-22T10:00:00+03:00", "", "a=b"]
        {
            assert_eq!(inert(text), text);
        }
    }
}
