//! Files that are committed and must not drift: examples, schemas, documentation.

use std::{collections::BTreeSet, fs, path::PathBuf};

use portunus_core::settings::{Section, ValueType};

use super::{SECRET, empty, okta};
use crate::config::{
    config_schema, mcp_schema, servers::MCP, settings::CONFIG, unknown_keys::known_variables,
};

pub(super) fn repository() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect()
}

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_schemas_are_those_of_the_parser() {
    for (path, schema) in [
        ("docs/schema/config.schema.json", config_schema()),
        ("docs/schema/mcp.schema.json", mcp_schema()),
    ] {
        assert!(
            read(path) == schema,
            "{path} is out of date: run `just schema` and commit what it writes"
        );
    }
}

#[test]
fn the_documentation_shows_the_schema_of_policies() {
    let schema = portunus_core::access::SCHEMA.trim_end();
    assert!(read("docs/access.md").contains(schema), "docs/access.md shows another schema");
}

#[test]
fn the_examples_lack_nothing_but_ones_own_values() {
    let given =
        empty().file(".env", &read("examples/.env.example")).yaml(&read("examples/config.yaml"));
    let mistakes = given.mcp(&read("examples/mcp.json")).mistakes();
    let others: Vec<_> =
        mistakes.iter().filter(|mistake| !mistake.contains("still the example value")).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(!mistakes.is_empty(), "the values of .env.example must be fake");
}

#[test]
fn the_examples_work_once_filled_in() {
    let given = okta().env(&[("BASE_URL", "https://mcp.acme.com"), ("AUTH_SECRET", SECRET)]);
    let given =
        given.file(".env", &read("examples/.env.example")).yaml(&read("examples/config.yaml"));
    let config = given.mcp(&read("examples/mcp.json")).load();
    assert!(!config.servers.is_empty() && !config.proxies.is_empty());
}

#[test]
fn the_documentation_names_every_key_and_every_variable() {
    let text = read("docs/configuration.md");
    let mut names = BTreeSet::new();
    keys(&CONFIG, &mut names);
    keys(&MCP, &mut names);
    let missing: Vec<_> =
        names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not name the keys {missing:?}");
    let is_general = |name: &String| {
        !name.starts_with("AUTH_")
            || name.starts_with("AUTH_SECRET")
            || name.starts_with("AUTH_OKTA")
    };
    let variables = known_variables(&okta().load()).into_iter().filter(is_general);
    let missing: Vec<_> = variables.filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not name the variables {missing:?}");
}

fn keys(section: &Section, names: &mut BTreeSet<&'static str>) {
    for setting in section.settings {
        names.insert(setting.name);
        match &setting.value {
            ValueType::Section(inner)
            | ValueType::WordOr(_, inner)
            | ValueType::List(ValueType::Section(inner))
            | ValueType::Map(ValueType::Section(inner)) => keys(inner, names),
            _ => {}
        }
    }
}

/// What a reload compares field by field. Elsewhere the key on top says if a change takes a
/// restart.
#[test]
fn what_takes_a_restart_is_declared_where_a_reload_looks() {
    let sections = CONFIG.settings.iter().filter_map(|setting| match setting.value {
        ValueType::Section(inner) => Some((setting.name, inner)),
        _ => None,
    });
    for (name, section) in
        sections.filter(|(name, _)| !["lifetimes", "log", "limits"].contains(name))
    {
        let mut marked = Vec::new();
        restarts(section, &mut marked);
        assert!(
            marked.is_empty(),
            "{name}: mark the section, for {marked:?} is not compared alone"
        );
    }
}

fn restarts(section: &Section, names: &mut Vec<&'static str>) {
    for setting in section.settings {
        names.extend(setting.needs_restart.then_some(setting.name));
        if let ValueType::Section(inner) | ValueType::List(ValueType::Section(inner)) =
            &setting.value
        {
            restarts(inner, names);
        }
    }
}
