//! The tables of docs/configuration.md are the declarations of the settings. What stands between
//! `<!-- settings of … -->` and `<!-- end of settings -->` is written by the test itself when
//! `PORTUNUS_WRITE_TABLES` is set (`just schema`), and compared otherwise.

use std::{env, fs};

use portunus_core::settings::{Section, Setting, Settings as _, ValueType};
use portunus_mcp::{sandbox::CONFINE, spec::ServerSpec};

use super::committed::{read, repository};
use crate::config::{
    access_rules::WHO, allow::ALLOW, provider, provider::PROVIDER, settings::CONFIG,
};

const PATH: &str = "docs/configuration.md";
const BEGIN: &str = "<!-- settings of ";
const END: &str = "<!-- end of settings -->";
/// What the tables of a provider name variables for.
const PROVIDER_NAME: &str = "okta";

#[test]
fn the_tables_of_the_documentation_are_the_declared_settings() {
    let text = read(PATH);
    let markers: Vec<&str> = text.lines().filter_map(marker).collect();
    let mut written = String::new();
    let mut is_inside = false;
    for line in text.lines() {
        if line == END {
            is_inside = false;
        }
        if !is_inside {
            written.push_str(line);
            written.push('\n');
        }
        if let Some(of) = marker(line) {
            is_inside = true;
            written.push_str(&table(of, &markers));
        }
    }
    assert!(!is_inside, "{PATH}: a table without {END}");
    if env::var_os("PORTUNUS_WRITE_TABLES").is_some() {
        fs::write(repository().join(PATH), &written).unwrap();
    } else {
        assert!(
            text == written,
            "{PATH} is out of date: run `just schema` and commit what it writes"
        );
    }
}

fn marker(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.strip_suffix(" -->")
}

/// One row: key, variables, default, text.
type Row = [String; 4];

fn table(of: &str, markers: &[&str]) -> String {
    let is_apart = |name: &str| markers.contains(&name);
    let mut rows = match of {
        // All that have no table of their own.
        "config.yaml" => {
            let own = CONFIG.settings.iter().filter(|setting| {
                !is_apart(setting.name) && !setting.name.starts_with("auth_secret")
            });
            rows(own, "", false, &|_| false)
        }
        "auth_secret" => {
            let own = CONFIG.settings.iter().filter(|setting| setting.name.starts_with(of));
            rows(own, "", false, &|_| false)
        }
        "mcp.json" => {
            rows(ServerSpec::SECTION.settings.iter(), "", false, &|name| name == "confine")
        }
        "confine" => rows(CONFINE.settings.iter(), "", false, &|_| false),
        "access.who" => rows(WHO.settings.iter(), "", false, &|_| false),
        _ => {
            let setting = CONFIG.find_path(of).unwrap_or(&ALLOW_OF_PROVIDER);
            let section = section_of(&setting.value).unwrap_or_else(|| panic!("{of}: no section"));
            rows(section.settings.iter(), "", setting.needs_restart, &|_| false)
        }
    };
    if matches!(of, "providers" | "allow") {
        for row in &mut rows {
            row[1] = variable_of_provider(of, row[0].trim_matches('`'));
        }
    }
    let headings =
        [format!("key of `{of}`"), "variable".to_owned(), "default".to_owned(), String::new()];
    let shown: Vec<usize> = (0..4)
        .filter(|column| matches!(column, 0 | 3) || rows.iter().any(|row| !row[*column].is_empty()))
        .collect();
    let line = |row: &Row| {
        let cells = shown.iter().map(|column| format!(" {} ", row[*column]).replace("  ", " "));
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let mut text = line(&headings);
    text.push_str(&["|", &"---|".repeat(shown.len()), "\n"].concat());
    text.extend(rows.iter().map(line));
    text
}

const ALLOW_OF_PROVIDER: Setting = Setting::new("allow", ValueType::Section(&ALLOW), "");

fn section_of(value: &'static ValueType) -> Option<&'static Section> {
    match value {
        ValueType::Section(section) | ValueType::WordOr(_, section) => Some(section),
        ValueType::List(inner) | ValueType::Map(inner) => section_of(inner),
        _ => None,
    }
}

/// Sections within are told with their keys, but for those that are told elsewhere.
fn rows<'s>(
    settings: impl Iterator<Item = &'s Setting>,
    before: &str,
    needs_restart: bool,
    is_elsewhere: &dyn Fn(&str) -> bool,
) -> Vec<Row> {
    let mut rows_of_all = Vec::new();
    for setting in settings.filter(|setting| setting.name != "$schema") {
        let key = format!("{before}`{}`", setting.name);
        let needs_restart = needs_restart || setting.needs_restart;
        match setting.value {
            ValueType::Section(inner) if !is_elsewhere(setting.name) => {
                let before = format!("{key}: ");
                rows_of_all.extend(rows(
                    inner.settings.iter(),
                    &before,
                    needs_restart,
                    is_elsewhere,
                ));
            }
            _ => rows_of_all.push([
                key,
                setting
                    .variables
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(" or "),
                setting.default.map(default).unwrap_or_default(),
                described(setting, needs_restart),
            ]),
        }
    }
    rows_of_all
}

fn default(text: &str) -> String {
    if text == "none" || text.contains([' ', '\'']) { plain(text) } else { format!("`{text}`") }
}

fn described(setting: &Setting, needs_restart: bool) -> String {
    // The default has a column of its own.
    let help = setting.help.split(". Default: {default}").next().unwrap_or_default();
    let help = plain(help);
    let choices = match setting.value {
        ValueType::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect(),
        _ => Vec::new(),
    };
    let details = setting.details.replace('|', "\\|");
    let restart = if needs_restart { "A change takes a restart" } else { "" };
    let parts = [help, choices.join(", "), details, restart.to_owned()];
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let between = if text.is_empty() || text.ends_with('?') { " " } else { ". " };
        text.push_str(between);
        text.push_str(part);
    }
    text.trim_start().to_owned()
}

/// Words that are no Markdown.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*")
}

fn variable_of_provider(of: &str, key: &str) -> String {
    let position = |section: &Section| section.settings.iter().position(|it| it.name == key);
    let name = if of == "allow" {
        position(&ALLOW).map(|_| format!("AUTH_OKTA_ALLOWED_{}", key.to_ascii_uppercase()))
    } else {
        position(&PROVIDER).map(|_| provider::variable(PROVIDER_NAME, key))
    };
    let is_read = |name: &String| provider::variables(PROVIDER_NAME).any(|known| known == *name);
    name.filter(is_read).map(|name| format!("`{name}`")).unwrap_or_default()
}
