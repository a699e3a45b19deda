//! How a legacy client is asked: with a request of the server's own in the middle of the call. How
//! a modern one is asked is in [`super::input`], and what they are asked in [`super::questions`].
#![expect(deprecated, reason = "legacy servers ask for roots and samples this way")]

use futures::future::try_join_all;
use rmcp::{
    ErrorData, RoleServer,
    model::{CustomNotification, JsonObject, ServerNotification},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    super::sdk_conversions::{model, sending},
    questions::{Asking, ByKey, capability},
    request::declared_capabilities,
};

/// Asks everything, each round at once, and returns the text of the answer.
pub(super) async fn ask(
    asking: &Asking,
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<String, ErrorData> {
    let declared = declared_capabilities(context);
    let mut answers = ByKey::new();
    for round in asking.rounds {
        let questions = round(arguments, &declared);
        if let Some(missing) =
            questions.values().map(capability).find(|needs| !declared.contains(needs))
        {
            return Err(ErrorData::invalid_request(
                format!("The client does not support {missing}"),
                None,
            ));
        }
        let asked = questions
            .into_iter()
            .map(|(key, question)| async { Ok((key, answer_to(question, context).await?)) });
        answers.extend(try_join_all(asked).await?);
    }
    Ok((asking.finish)(&answers))
}

async fn answer_to(
    mut question: Value,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    let params = question["params"].take();
    Ok(match capability(&question) {
        "elicitation" if params["mode"] == "url" => visit(params, context).await?,
        "elicitation" => {
            json!(context.peer.create_elicitation(model(params)?).await.map_err(sending)?)
        }
        "sampling" => json!(context.peer.create_message(model(params)?).await.map_err(sending)?),
        _ => json!(context.peer.list_roots().await.map_err(sending)?),
    })
}

/// Sends the user to a page. It has an id in this era, by which the client is told that the visit
/// is over; the page itself does not exist.
async fn visit(
    mut params: Value,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    let id = format!("visit-{}", context.id);
    params["elicitationId"] = json!(id);
    let answer = context.peer.create_elicitation(model(params)?).await.map_err(sending)?;
    let over = CustomNotification::new(
        "notifications/elicitation/complete",
        Some(json!({"elicitationId": id})),
    );
    context
        .peer
        .send_notification(ServerNotification::CustomNotification(over))
        .await
        .map_err(sending)?;
    Ok(json!(answer))
}
