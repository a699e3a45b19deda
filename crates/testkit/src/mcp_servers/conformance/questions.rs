//! Tools, and one prompt, that need something from the client before they can answer: written once,
//! as rounds of questions. A legacy client is asked with requests in the middle of the call, in
//! [`super::asking`]; a modern one gets the questions as a result and calls again, in
//! [`super::input`]. Tools that ask nothing are in [`super::content`].

use std::collections::BTreeSet;

use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

/// What a client said it can do, by the names that its capabilities have on the wire.
pub(super) type Declared = BTreeSet<&'static str>;
/// Questions or answers, by their keys.
pub(super) type ByKey = Map<String, Value>;
/// Makes the questions of one round from the arguments and from what the client can do.
type Round = fn(&JsonObject, &Declared) -> ByKey;

pub(super) struct Asking {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// The one argument, a text, if it has one.
    pub(super) argument: Option<&'static str>,
    /// Keeps what was answered so far in a sealed state, which a modern client brings back. The
    /// others ask one question only, and start over from what the call brings.
    pub(super) sealed: bool,
    pub(super) rounds: &'static [Round],
    /// The text of the answer, once everything is known.
    pub(super) finish: fn(&ByKey) -> String,
}

/// Asks for a name; also what the others are made of.
pub(super) const ONE_FIELD: Asking = Asking {
    name: "",
    description: "",
    argument: None,
    sealed: false,
    rounds: &[|_, _| {
        one(
            "user_name",
            form("What is your name?", &json!({"name": {"type": "string"}}), &["name"]),
        )
    }],
    finish: |answers| format!("Hello, {}!", field(answers, "user_name", "name")),
};

const CONFIRMATION: Asking = Asking {
    sealed: true,
    rounds: &[|_, _| {
        one("confirm", form("Please confirm", &json!({"ok": {"type": "boolean"}}), &["ok"]))
    }],
    finish: |answers| format!("state-ok, {}", described(answers, "confirm")),
    ..ONE_FIELD
};

pub(super) const TOOLS: &[Asking] = &[
    Asking {
        name: "test_sampling",
        description: "Asks the model",
        argument: Some("prompt"),
        rounds: &[|arguments, _| one("completion", sampling(text(arguments, "prompt"), 100))],
        finish: |answers| format!("LLM response: {}", sampled(answers, "completion")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_elicitation",
        description: "Asks the user who they are",
        argument: Some("message"),
        rounds: &[|arguments, _| {
            one("person", form(text(arguments, "message"), &person(), &["username", "email"]))
        }],
        finish: |answers| format!("User response: {}", described(answers, "person")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_elicitation_sep1034_defaults",
        description: "Asks for values that have defaults",
        rounds: &[|_, _| one("defaults", form("Please review these values", &defaults(), &[]))],
        finish: |answers| format!("Elicitation completed: {}", described(answers, "defaults")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_elicitation_sep1330_enums",
        description: "Asks for choices, in every way there is",
        rounds: &[|_, _| one("choices", form("Please choose", &choices(), &[]))],
        finish: |answers| format!("Elicitation completed: {}", described(answers, "choices")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_missing_capability",
        description: "Needs sampling",
        rounds: &[|_, _| one("completion", sampling("Say anything", 100))],
        finish: |answers| sampled(answers, "completion").to_owned(),
        ..ONE_FIELD
    },
    Asking {
        name: "test_elicitation_url",
        description: "Sends the user to a page",
        rounds: &[|_, _| {
            let params = json!({"mode": "url", "message": "Please sign there", "url": "https://example.com/sign-here"});
            one("visit", json!({"method": "elicitation/create", "params": params}))
        }],
        finish: |answers| format!("Visited: {}", described(answers, "visit")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_streaming_elicitation",
        description: "Asks for a name in the middle of a call",
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_elicitation",
        description: "Asks for a name",
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_sampling",
        description: "Asks the model a question",
        rounds: &[|_, _| one("capital_question", sampling("What is the capital of France?", 100))],
        finish: |answers| format!("The model says: {}", sampled(answers, "capital_question")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_list_roots",
        description: "Asks for the roots",
        rounds: &[|_, _| one("client_roots", roots())],
        finish: |answers| format!("Roots: {}", root_uris(answers, "client_roots")),
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_request_state",
        description: "Asks for a confirmation, and for its state back",
        ..CONFIRMATION
    },
    Asking {
        name: "test_input_required_result_tampered_state",
        description: "Asks once, and takes no state that was altered",
        ..CONFIRMATION
    },
    Asking {
        name: "test_input_required_result_multiple_inputs",
        description: "Asks three things at once",
        sealed: true,
        rounds: &[|arguments, declared| {
            let mut questions = (ONE_FIELD.rounds[0])(arguments, declared);
            questions.insert("greeting".to_owned(), sampling("Generate a greeting", 50));
            questions.insert("client_roots".to_owned(), roots());
            questions
        }],
        finish: |answers| {
            let (greeting, name) =
                (sampled(answers, "greeting"), field(answers, "user_name", "name"));
            format!("{greeting} for {name}, with roots {}", root_uris(answers, "client_roots"))
        },
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_multi_round",
        description: "Asks twice",
        sealed: true,
        rounds: &[
            |_, _| {
                one(
                    "step1",
                    form(
                        "Step 1: What is your name?",
                        &json!({"name": {"type": "string"}}),
                        &["name"],
                    ),
                )
            },
            |_, _| {
                one(
                    "step2",
                    form(
                        "Step 2: What is your favorite color?",
                        &json!({"color": {"type": "string"}}),
                        &["color"],
                    ),
                )
            },
        ],
        finish: |answers| {
            format!(
                "{} likes {}",
                field(answers, "step1", "name"),
                field(answers, "step2", "color")
            )
        },
        ..ONE_FIELD
    },
    Asking {
        name: "test_input_required_result_capabilities",
        description: "Asks only what the client declared",
        rounds: &[|arguments, declared| {
            let everything = [
                ("elicitation", (ONE_FIELD.rounds[0])(arguments, declared)),
                ("sampling", one("greeting", sampling("Generate a greeting", 50))),
                ("roots", one("client_roots", roots())),
            ];
            everything
                .into_iter()
                .filter(|(needs, _)| declared.contains(needs))
                .flat_map(|(_, questions)| questions)
                .collect()
        }],
        finish: |answers| {
            format!(
                "Answered: {}",
                answers.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            )
        },
        ..ONE_FIELD
    },
];

pub(super) const PROMPT: Asking = Asking {
    name: "test_input_required_result_prompt",
    description: "A prompt that asks back",
    rounds: &[|_, _| {
        let question = form(
            "What context should the prompt use?",
            &json!({"context": {"type": "string"}}),
            &["context"],
        );
        one("user_context", question)
    }],
    finish: |answers| format!("Use this context: {}", field(answers, "user_context", "context")),
    ..ONE_FIELD
};

/// The capability that a client needs to answer this.
pub(super) fn capability(question: &Value) -> &'static str {
    match question["method"].as_str() {
        Some("elicitation/create") => "elicitation",
        Some("sampling/createMessage") => "sampling",
        _ => "roots",
    }
}

/// Whether this can be an answer to the question: what a client brings is anything at all until
/// looked at.
pub(super) fn is_answer(question: &Value, answer: &Value) -> bool {
    match capability(question) {
        "elicitation" => match answer["action"].as_str() {
            Some("accept") => answer["content"].is_object() || question["params"]["mode"] == "url",
            other => matches!(other, Some("decline" | "cancel")),
        },
        "sampling" => {
            answer["role"].is_string()
                && (answer["content"].is_object() || answer["content"].is_array())
        }
        _ => answer["roots"].is_array(),
    }
}

fn one(key: &str, question: Value) -> ByKey {
    ByKey::from_iter([(key.to_owned(), question)])
}

pub(super) fn form(message: &str, properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

fn sampling(prompt: &str, max_tokens: u32) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

fn person() -> Value {
    json!({
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    })
}

/// A default value for every primitive type (SEP-1034).
fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    })
}

/// Every way there is to choose from a list (SEP-1330).
fn choices() -> Value {
    let values = json!(["option1", "option2", "option3"]);
    let titled = |noun: &str| {
        let choices = ["value1", "value2", "value3"].into_iter().zip(["First", "Second", "Third"]);
        choices
            .map(|(value, ordinal)| json!({"const": value, "title": format!("{ordinal} {noun}")}))
            .collect::<Vec<_>>()
    };
    json!({
        "untitledSingle": {"type": "string", "enum": values},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": values}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    })
}

fn text<'a>(arguments: &'a JsonObject, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What was entered into a field of a form; a form that was declined has none.
fn field<'a>(answers: &'a ByKey, key: &str, name: &str) -> &'a str {
    answers[key]["content"][name].as_str().unwrap_or("nobody knows")
}

fn described(answers: &ByKey, key: &str) -> String {
    let answer = &answers[key];
    let content = if answer["content"].is_null() { json!({}) } else { answer["content"].clone() };
    format!("action={}, content={content}", answer["action"].as_str().unwrap_or_default())
}

fn sampled<'a>(answers: &'a ByKey, key: &str) -> &'a str {
    let content = &answers[key]["content"];
    content["text"].as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default()
}

fn root_uris(answers: &ByKey, key: &str) -> String {
    let roots = answers[key]["roots"].as_array();
    roots
        .into_iter()
        .flatten()
        .filter_map(|root| root["uri"].as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
