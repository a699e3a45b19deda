//! A client of one era as a program:
//!
//! ```text
//! era-client --url URL [--token TOKEN] --era legacy|modern
//!            --script list|call|elicit|visit|visit-to-the-end|prompt|ask-in-vain|sample|roots|
//!                     progress|cancel|subscribe|list-change|log
//!            [--tool NAME] [--arguments JSON] [--uri URI] [--level LEVEL] [--unheard JSON]
//!            [--next NAME]
//! ```
//!
//! Goes through the exercise at a server that speaks Streamable HTTP and prints one line of JSON:
//! what it saw, or what went wrong. Exit codes: 0 it went well, 1 it did not, 2 bad usage. The
//! exercises are in `portunus_testkit::era_client`.

use std::{error::Error, process::ExitCode};

use portunus_testkit::era_client::{ClientEra, Exercise, Script, exercise_at};
use serde_json::json;

const USAGE: &str =
    "usage: era-client --url URL [--token TOKEN] --era legacy|modern --script NAME [--tool NAME] [--arguments JSON]
                  [--uri URI] [--level LEVEL] [--unheard JSON] [--next NAME]";

struct Arguments {
    url: String,
    token: Option<String>,
    era: ClientEra,
    exercise: Exercise,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Arguments { url, token, era, exercise } = match parse(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = exercise_at(&url, token.as_deref(), era, &exercise).await;
    let mut line = json!({"script": exercise.script.to_string(), "era": era.to_string(), "ok": outcome.is_ok()});
    match &outcome {
        Ok(seen) => seen
            .as_object()
            .into_iter()
            .flatten()
            .for_each(|(key, value)| line[key.as_str()] = value.clone()),
        Err(error) => line["error"] = json!(described(error.as_ref())),
    }
    println!("{line}");
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(arguments: &[String]) -> Result<Arguments, Box<dyn Error>> {
    let (mut url, mut token, mut era, mut script) = (None, None, None, None);
    // Overwritten once the script is known.
    let mut exercise = Exercise::new(Script::List);
    for pair in arguments.chunks(2) {
        let [flag, value] = pair else { return Err(format!("{} needs a value", pair[0]).into()) };
        let object = || serde_json::from_str(value).map_err(|error| format!("{flag}: {error}"));
        match flag.as_str() {
            "--url" => url = Some(value.clone()),
            "--token" => token = Some(value.clone()),
            "--era" => era = Some(value.parse()?),
            "--script" => script = Some(value.parse()?),
            "--tool" => exercise.tool = Some(value.clone()),
            "--arguments" => exercise.arguments = Some(object()?),
            "--uri" => exercise.uri = Some(value.clone()),
            "--level" => exercise.level = Some(value.clone()),
            "--unheard" => exercise.unheard = Some(object()?),
            "--next" => exercise.next = Some(value.clone()),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    exercise.script = script.ok_or("--script is missing")?;
    Ok(Arguments {
        url: url.ok_or("--url is missing")?,
        token,
        era: era.ok_or("--era is missing")?,
        exercise,
    })
}

/// An error with its causes: rmcp's outermost one rarely says what happened.
fn described(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}
