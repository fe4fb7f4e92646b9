//! docs/recipes.md against the types: every key and every default.

use super::*;

/// Rows of the page's tables: a key, and its default in each of the variants that the table's head names.
fn documented() -> Vec<(String, Vec<(String, String)>)> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let (mut head, mut rows) = (Vec::new(), Vec::new());
    let page = include_str!("../../../../../docs/recipes.md");
    for row in page.lines().filter(|line| line.starts_with('|')).map(cells) {
        if row[0] == "key" {
            head = row;
        } else if head.len() == row.len() && !row[0].starts_with('-') {
            let named = head[2..row.len() - 1].iter().zip(&row[2..]);
            let each = named.flat_map(|(names, value)| names.split(", ").map(|name| (name.to_owned(), value.clone())));
            rows.push((row[0].clone(), each.collect()));
        }
    }
    rows
}

/// Every key of recipes with these choices; its default where it has one.
fn defaults(variant: &str) -> BTreeMap<String, Option<Value>> {
    let choices = match variant {
        "official-code" => ("cosine", Some("atsc"), Some(variant)),
        "constant" | "step" | "cosine" => (variant, None, None),
        "default" => ("cosine", None, None),
        method => ("cosine", Some(method), None),
    };
    let (decay, method, mode) = choices;
    let known = KnownKeys::of(&Choices { decay, method, mode }).unwrap();
    let defaults = known.defaults();
    let keys = known.leaves().into_iter();
    keys.map(|key| (key.clone(), at(&defaults, &key).cloned())).collect()
}

#[test]
fn the_page_tells_every_key_and_default() {
    let documented = documented();
    let methods = METHODS[1..].iter().map(|method| method.name);
    let mut known: Vec<String> = ["default", "step", "official-code"]
        .into_iter()
        .chain(methods)
        .flat_map(|variant| defaults(variant).into_keys())
        .collect();
    let mut told: Vec<String> = documented.iter().map(|(key, _)| key.clone()).collect();
    for keys in [&mut known, &mut told] {
        keys.sort();
        keys.dedup();
    }
    assert_eq!(told, known);
    for (key, values) in documented {
        for (variant, told) in values {
            let defaults = defaults(&variant);
            let default = defaults.get(&key).unwrap_or_else(|| panic!("{variant} has no {key}"));
            let same = match default {
                None => told == "–",
                Some(Value::Float(number)) => told.parse() == Ok(*number),
                Some(Value::String(text)) => told == *text,
                Some(other) => told == other.to_string(),
            };
            assert!(same, "{key} of {variant}: {told} on the page, {default:?} in truth");
        }
    }
}
