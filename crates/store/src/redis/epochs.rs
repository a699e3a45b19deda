//! Epochs: how everything of a user, a client, a login or of the whole store is revoked in one
//! step, though it stands in many slots of a Cluster. Each of the four has an epoch that a
//! revocation moves on; codes, grants and consents remember the epochs they were made in, and are
//! dead in any other. Ending the dead grants one by one afterwards, so that they can be counted and
//! listed, is [`super::grants_of`]'s.

use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::{ClientId, UserId},
    secret::TokenHash,
    store::StoreError,
    token::AuthorizationCode,
};
use redis::Cmd;

use super::{
    database::{Database, answer, get},
    failure::corrupt,
};

/// For how long the epoch is remembered of what is over and does not come back: longer than any
/// token lives that it was given. A grant that is dead gets no new tokens, so none of it is left by
/// then.
pub(super) const EPOCH_MILLIS: i64 = 400 * 24 * 3600 * 1000;

/// Whose epochs count for a code or a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owners {
    pub(super) user: UserId,
    pub(super) client: ClientId,
    pub(super) login: Option<TokenHash>,
}

impl From<&Grant> for Owners {
    fn from(grant: &Grant) -> Self {
        Self { user: grant.user.clone(), client: grant.client.clone(), login: grant.login }
    }
}

impl From<&AuthorizationCode> for Owners {
    fn from(code: &AuthorizationCode) -> Self {
        Self { user: code.user.clone(), client: code.client.clone(), login: code.login }
    }
}

/// One epoch, as it is kept: `number:time of the revocation that began it`. Nothing is kept before
/// the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epoch(String);

impl Epoch {
    pub(super) fn read(kept: Option<String>) -> Self {
        Self(kept.unwrap_or_else(|| "0".to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn began_at(&self) -> Option<Timestamp> {
        let (_, at) = self.0.split_once(':')?;
        at.parse().ok().map(Timestamp::from_millis)
    }
}

/// The four epochs that something was made in, or that are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epochs {
    pub(super) everyone: Epoch,
    pub(super) client: Epoch,
    pub(super) user: Epoch,
    pub(super) login: Epoch,
}

/// The fields of a grant that keep its epochs; the scripts know them by these names too.
pub(super) const FIELDS: [&str; 4] =
    ["epoch", "epoch_of_client", "epoch_of_user", "epoch_of_login"];

impl Epochs {
    pub(super) fn parts(&self) -> [&str; 4] {
        [&self.everyone, &self.client, &self.user, &self.login].map(Epoch::as_str)
    }

    pub(super) fn from_parts([everyone, client, user, login]: [Option<String>; 4]) -> Self {
        let [everyone, client, user, login] = [everyone, client, user, login].map(Epoch::read);
        Self { everyone, client, user, login }
    }

    /// As one text, for a code.
    pub(super) fn to_text(&self) -> String {
        self.parts().join(",")
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let parts: Vec<_> = text.split(',').map(|part| Some(part.to_owned())).collect();
        parts.try_into().map(Self::from_parts).map_err(|_| corrupt("codes.epochs"))
    }

    /// When what was made in these epochs died, if another one is now. The first of several
    /// revocations counts.
    pub(super) fn ended(&self, now: &Self) -> Option<Timestamp> {
        let pairs = [
            (&self.everyone, &now.everyone),
            (&self.client, &now.client),
            (&self.user, &now.user),
            (&self.login, &now.login),
        ];
        let over = pairs.into_iter().filter(|(then, now)| then != now);
        over.map(|(_, now)| now.began_at().unwrap_or(Timestamp::from_millis(0))).min()
    }
}

/// The epochs of now, and the user's record if there is one.
pub(super) struct Present {
    pub(super) epochs: Epochs,
    pub(super) user: Option<String>,
}

impl Database {
    /// Three slots at most, asked at once.
    pub(super) async fn present(&self, owners: &Owners) -> Result<Present, StoreError> {
        let (client, user) =
            (self.keys.client_epoch(&owners.client), self.keys.user_epoch(&owners.user));
        let record = self.keys.user(&owners.user);
        let of_clients =
            self.connection.read(&client, [get(&self.keys.everyones_epoch()), get(&client)]);
        let of_user = self.connection.read(&user, [get(&user), get(&record)]);
        let of_login = async {
            let Some(login) = &owners.login else { return Ok(None) };
            self.pointer(&self.keys.login_epoch(login)).await
        };
        let ([everyone, client], [user, record], login) =
            tokio::try_join!(of_clients, of_user, of_login)?;
        let epochs = Epochs::from_parts([answer(everyone)?, answer(client)?, answer(user)?, login]);
        Ok(Present { epochs, user: answer(record)? })
    }

    /// The epochs that a consent depends on: those of the whole store and of the client. A user's
    /// consents go with the user's epoch.
    pub(super) async fn consent_epochs(&self, client: &ClientId) -> Result<String, StoreError> {
        let key = self.keys.client_epoch(client);
        let [everyone, client] =
            self.connection.read(&key, [get(&self.keys.everyones_epoch()), get(&key)]).await?;
        Ok(format!(
            "{},{}",
            Epoch::read(answer(everyone)?).as_str(),
            Epoch::read(answer(client)?).as_str()
        ))
    }
}

pub(super) fn hget(key: &str, field: &str) -> Cmd {
    let mut command = redis::cmd("HGET");
    command.arg(key).arg(field);
    command
}
