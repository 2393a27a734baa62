//! Reading and writing comma-separated files by RFC 4180, strictly: a file about money that is not what it should be is refused
//! whole, with the place.

use crate::Error;

/// The largest file that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A row, with the line it begins on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Its cells, as many as the heading has.
    pub(crate) cells: Vec<String>,
}

fn wrong(file: &str, line: usize, column: usize, why: &str, fix: &str) -> Error {
    Error::File {
        file: file.to_owned(),
        line,
        column: format!("column {column}"),
        why: why.to_owned(),
        fix: fix.to_owned(),
    }
}

/// The heading and the rows below it. Empty lines are passed over.
pub(crate) fn read(file: &str, bytes: &[u8], separator: char) -> Result<(Row, Vec<Row>), Error> {
    const AGAIN: &str = "Export the file again; do not mend it by hand";
    if bytes.len() > MAX_BYTES {
        return Err(wrong(file, 1, 1, "the file is larger than 64 MiB", "Export a shorter time at once"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|&&b| b == b'\n').count() + 1;
        wrong(file, line, 1, "this is no UTF-8", "Export the file again as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows: Vec<Row> = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut row = Row { line, cells: Vec::new() };
        let mut ended = false;
        while !ended {
            let column = row.cells.len() + 1;
            let mut cell = String::new();
            if chars.next_if_eq(&'"').is_some() {
                loop {
                    match chars.next() {
                        Some('"') if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                        Some('"') => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            cell.push(c);
                        }
                        None => return Err(wrong(file, row.line, column, "the quotes are not closed", AGAIN)),
                    }
                }
            } else {
                while let Some(c) = chars.next_if(|&c| c != separator && c != '\n' && c != '\r') {
                    if c == '"' {
                        return Err(wrong(file, line, column, "there are quotes in the middle of a cell", AGAIN));
                    }
                    cell.push(c);
                }
            }
            row.cells.push(cell);
            ended = match chars.next() {
                Some(c) if c == separator => false,
                Some('\r') if chars.next_if_eq(&'\n').is_some() => true,
                Some('\n') | None => true,
                Some(_) => return Err(wrong(file, line, column, "something follows the end of the cell", AGAIN)),
            };
        }
        line += 1;
        if row.cells.iter().any(|cell| !cell.is_empty()) || row.cells.len() > 1 {
            rows.push(row);
        }
    }
    let mut rows = rows.into_iter();
    let head = rows.next().ok_or_else(|| wrong(file, 1, 1, "the file is empty", "Export it again"))?;
    let rows: Vec<Row> = rows.collect();
    if let Some(row) = rows.iter().find(|row| row.cells.len() != head.cells.len()) {
        let why = format!("the row has {} cells and the heading has {}", row.cells.len(), head.cells.len());
        return Err(wrong(file, row.line, row.cells.len().min(head.cells.len()) + 1, &why, AGAIN));
    }
    Ok((head, rows))
}

/// One line, with its end.
pub(crate) fn line(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells
        .iter()
        .map(|cell| match cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => (*cell).to_owned(),
        })
        .collect();
    format!("{}\r\n", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_malformed_file_is_refused_with_the_place() {
        for (text, place) in [
            ("", "line 1, column 1"),
            ("a,b\n1\n", "line 2, column 2"),
            ("a,b\n1,2,3\n", "line 2, column 3"),
            ("a,b\n\"x\ny\",2\n1,\"open\n", "line 4, column 2"),
            ("a,b\n1,x\"y\n", "line 2, column 2"),
            ("a,b\n\"1\"x,2\n", "line 2, column 1"),
            ("a,b\r1,2", "line 1, column 2"),
        ] {
            let error = read("f.csv", text.as_bytes(), ',').unwrap_err().to_string();
            assert!(error.starts_with(&format!("f.csv, {place}:")), "{text:?}: {error}");
        }
        assert!(read("f.csv", b"a,b\n\xff,1\n", ',').unwrap_err().to_string().contains("line 2"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cells in prop::collection::vec(prop::collection::vec("[ -~\n\r\"é]{1,12}", 3), 1..6)) {
            let text: String = cells
                .iter()
                .map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()))
                .collect();
            let (head, rows) = read("f.csv", text.as_bytes(), ',').unwrap();
            let back: Vec<Vec<String>> = std::iter::once(head).chain(rows).map(|row| row.cells).collect();
            prop_assert_eq!(back, cells);
        }

        #[test]
        fn reading_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read("f.csv", &bytes, ',');
        }
    }
}
