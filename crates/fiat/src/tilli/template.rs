//! `{name}` in the configuration.

use crate::Error;

/// Makes sure that every placeholder of `template` is `known`.
pub(super) fn check(key: &str, template: &str, known: &[&str]) -> Result<(), Error> {
    match fill(template, |name| known.contains(&name).then(String::new)) {
        Ok(_) => Ok(()),
        Err(name) => {
            let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Error::Configuration(format!("{key}: there is no {{{name}}} here; there is {known}")))
        }
    }
}

/// Puts values in; the name that has none is the error.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        filled.push_str(before);
        filled.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}
