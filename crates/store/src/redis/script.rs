//! The Lua scripts: each is one atomic step on one slot, and says at its head what it guards. Who
//! calls which is in the files of the ports; how a call travels is [`super::connection`]'s.

use std::sync::LazyLock;

use redis::{Cmd, ToRedisArgs};

/// A script, known to Redis by its hash after the first call.
pub(super) struct Script {
    text: &'static str,
    hash: LazyLock<String>,
}

macro_rules! script {
    ($name:ident: $($file:literal),+) => {
        pub(super) static $name: Script = {
            const TEXT: &str = concat!(include_str!("scripts/prelude.lua"), $(include_str!(concat!("scripts/", $file))),+);
            Script { text: TEXT, hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()) }
        };
    };
}

script!(INSERT: "insert.lua");
script!(UPDATE: "update.lua");
script!(TAKE: "take.lua");
script!(USE_ONCE: "use_once.lua");
script!(POINT: "point.lua");
script!(UNPOINT: "unpoint.lua");
script!(LIST_GRANT: "list_grant.lua");
script!(REDEEM: "grant.lua", "redeem.lua");
script!(INSERT_GRANT: "grant.lua", "insert_grant.lua");
script!(CHANGE_FAMILY: "grant.lua", "change_family.lua");
script!(REVOKE_GRANT: "revoke_grant.lua");
script!(BEGIN_EPOCH: "begin_epoch.lua");
script!(DELETE_ENTRY: "delete_entry.lua");
script!(INSERT_CLIENT: "insert_client.lua");
script!(UPDATE_CLIENT: "update_client.lua");
script!(TOUCH_CLIENT: "unused.lua", "touch_client.lua");
script!(DELETE_CLIENT: "unused.lua", "delete_client.lua");
script!(PURGE_CLIENTS: "unused.lua", "purge_clients.lua");
script!(OLDEST_UNUSED: "oldest_unused.lua");
script!(BEGIN_TRANSACTION: "begin_transaction.lua");
script!(INSERT_LOGIN: "insert_login.lua");
script!(TOUCH_LOGIN: "touch_login.lua");
script!(TAKE_LOGINS: "take_logins.lua");
script!(DELETE_CONSENTS: "delete_consents.lua");
script!(PIN_TOOLS: "pins.lua", "pin_tools.lua");
script!(QUARANTINE: "pins.lua", "quarantine.lua");
script!(APPROVE: "pins.lua", "approve.lua");
script!(FORGET: "pins.lua", "forget.lua");
script!(DISABLE: "disable.lua");
script!(ENABLE: "enable.lua");
script!(PURGE: "purge.lua");
script!(BEAT: "beat.lua");
script!(LEAVE: "leave.lua");
script!(LIST_NODES: "list_nodes.lua");
script!(CLAIM_OWNERSHIP: "claim_ownership.lua");
script!(RELEASE_OWNERSHIP: "release_ownership.lua");
script!(KEEP: "keep.lua");
script!(CHANGE_VERSION: "change_version.lua");
script!(TOUCH: "touch.lua");
script!(RESEAL: "reseal.lua");
script!(POST: "bulletins.lua", "post.lua");
script!(MARK: "bulletins.lua", "mark.lua");
script!(APPEND_AUDIT: "append_audit.lua");
script!(DELETE_AUDIT: "delete_audit.lua");
script!(EXPORT_GRANT: "export_grant.lua");
script!(IMPORT_GRANT: "import_grant.lua");
script!(IMPORT_PIN: "pins.lua", "import_pin.lua");

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// The first key: all of them are in its slot.
    pub(super) fn slot(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash.as_str())
    }

    pub(super) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(argument.as_slice());
        }
        command
    }
}
