//! Values in a recipe's tables by dotted path; a number in it is a position in a list.

use toml::{Table, Value};

/// The value at a path.
pub(super) fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Array(elements) => elements.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

/// The text at a path.
pub(super) fn text_at<'a>(table: &'a Table, path: &str) -> Option<&'a str> {
    at(table, path)?.as_str()
}

/// Sets the value at a path, in a table that is there or is the next of a list; tells whether there is such a table.
pub(super) fn insert(table: &mut Table, path: &str, value: Value) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some((list, index)) = parent.rsplit_once('.')
        && let Some(elements) = at(table, list).and_then(Value::as_array)
        && index.parse() == Ok(elements.len())
    {
        let longer = elements.iter().cloned().chain([Value::Table(Table::new())]).collect();
        insert(table, list, Value::Array(longer));
    }
    let parent = table_at(table, parent);
    parent.map(|parent| parent.insert(name.to_owned(), value)).is_some()
}

/// Removes the value at a path, if there is one.
pub(super) fn remove(table: &mut Table, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(parent) = table_at(table, parent) {
        parent.remove(name);
    }
}

/// The table at a path; at the empty one the whole.
fn table_at<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    let mut parts = path.split('.').filter(|part| !part.is_empty());
    let mut found = table;
    while let Some(part) = parts.next() {
        found = match found.get_mut(part)? {
            Value::Array(elements) => elements.get_mut(parts.next()?.parse::<usize>().ok()?)?.as_table_mut()?,
            value => value.as_table_mut()?,
        };
    }
    Some(found)
}
