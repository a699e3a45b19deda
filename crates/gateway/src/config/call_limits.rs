//! Section: limits of calls (`limits.calls` of `config.yaml`). Whom and what a limit is about is
//! written as in access rules, and read by [`super::access_rules`]; what a limit means is
//! `portunus_core::call_limits`. The bounds that each person has are next door, in
//! [`super::limits`].

use std::num::NonZeroU32;

use portunus_core::{
    access::Who,
    call_limits::{CallLimit, Part, Quota},
    settings::{
        Section, Setting, ValueType,
        quantity::{RATE, SIZE_RATE, parse_rate, parse_size_rate},
    },
};

use super::{
    access_rules::{LIST, Names, Reading, WHO},
    allow::ANYONE,
    document::Item,
    inputs::{Inputs, Written, written},
    mistake::Report,
};

/// What they are called where they are told of.
const PATH: &str = "limits.calls";

/// By their path: a reload tells of them apart from other limits.
pub(super) const CALLS: Setting = Setting::new(PATH, CALL_LIMITS, "");

pub(super) const CALL_LIMITS: ValueType = ValueType::List(&ValueType::Section(&CALL_LIMIT));

const CALL_LIMIT: Section = Section::new(
    "A limit: of all that fit a request, each is kept",
    &[
        Setting::new("name", ValueType::Text, "What it is called; who meets it is told")
            .details("Without it, its place in the list"),
        Setting::new(
            "each",
            ValueType::List(&ValueType::Choice(&["person", "client", "server", "tool"])),
            "What has a counter of its own: person, client, server, tool, or several of these",
        )
        .required()
        .details("`[person]`: everyone has as much. `[server]`: all people together have as much of each server. `[person, client]`: a person with each client"),
        Setting::new(
            "who",
            ValueType::WordOr(&[ANYONE], &WHO),
            "The callers that it is about, as in access rules",
        )
        .default(ANYONE),
        Setting::new(
            "servers",
            LIST,
            "Only requests to these servers and proxies; * stands for any characters",
        )
        .details("Without it, all requests"),
        Setting::new(
            "tools",
            LIST,
            "Only calls of these tools, by the server's own names, without its prefix: get_*",
        ),
        Setting::new("requests", ValueType::Rate, "So many requests in a time: 600/min")
            .details("As many may come at once"),
        Setting::new("concurrent", ValueType::Count, "So many requests at work at once"),
        Setting::new(
            "bytes",
            ValueType::SizeRate,
            "So many bytes of requests and answers in a time: 50MiB/min",
        )
        .details("What an answer has beyond it is paid off before the next request"),
    ],
);

/// The limits, in the order of the file.
pub(super) fn resolve(
    inputs: &Inputs<'_>,
    names: &Names<'_>,
    report: &mut Report,
) -> Vec<CallLimit> {
    let mut reading = Reading { names, report };
    let Some(list) = inputs.config.root().find_path(PATH) else { return Vec::new() };
    let mut limits: Vec<CallLimit> = Vec::new();
    for (n, item) in list.items().iter().enumerate() {
        let Some(limit) = read(&mut reading, n, item) else { continue };
        if let Some(earlier) = limits.iter().find(|earlier| earlier.is_same(&limit)) {
            let found = format!("the same limit as `{}`", earlier.name);
            reading.report.mistake(item.at(), found, "each limit once");
        }
        limits.push(limit);
    }
    limits
}

/// `None` if whom it is about cannot be read, which is reported.
fn read(reading: &mut Reading<'_, '_>, n: usize, item: &Item<'_>) -> Option<CallLimit> {
    reading.check_nothing(item, CALL_LIMIT.settings);
    let each = each(reading, item);
    let (servers, tools) = (reading.servers(item), reading.tools(item));
    if !tools.is_empty() || each.contains(&Part::Tool) {
        reading.check_parts(item);
    }
    let who = if item.find("who").is_some() { reading.who(item)? } else { Who::default() };
    let report = &mut *reading.report;
    let requests = value(item, "requests", RATE, report, |text| {
        parse_rate(text).map(|(count, per)| Quota { count: count.into(), per })
    });
    let bytes = value(item, "bytes", SIZE_RATE, report, |text| {
        parse_size_rate(text).map(|(count, per)| Quota { count, per })
    });
    let concurrent = value(item, "concurrent", "a whole number, 1 at least", report, |text| {
        text.parse::<NonZeroU32>().ok()
    });
    // What was found to be wrong was taken out, and is reported.
    let is_missing = |key: &&str| item.find(key).is_none() && !item.was_taken_out(key);
    if ["requests", "concurrent", "bytes"].iter().all(is_missing) {
        report.mistake(
            item.at(),
            "a limit of nothing",
            "`requests`, `concurrent` or `bytes`, or several of these",
        );
    }
    let name = written(item.find("name")).map_or_else(|| format!("{PATH}[{n}]"), |name| name.text);
    Some(CallLimit { name, who, servers, tools, each, requests, concurrent, bytes })
}

fn each(reading: &mut Reading<'_, '_>, item: &Item<'_>) -> Vec<Part> {
    let mut each = Vec::new();
    for Written { text, at, .. } in reading.texts(item, "each") {
        let part = [Part::Person, Part::Client, Part::Server, Part::Tool]
            .into_iter()
            .find(|part| part.to_string() == text);
        if part.is_none() {
            let expected = "one of `person`, `client`, `server`, `tool`";
            reading.report.mistake(at, format!("`{text}`"), expected);
        }
        each.extend(part);
    }
    each.sort_unstable();
    each.dedup();
    each
}

fn value<T>(
    item: &Item<'_>,
    key: &str,
    expected: &str,
    report: &mut Report,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let Written { text, at, .. } = written(item.find(key))?;
    let parsed = parse(&text);
    if parsed.is_none() {
        report.mistake(at, format!("`{text}`"), expected);
    }
    parsed
}
