//! The scripts: one atomic operation each. Redis keeps them after their first use.

use redis::Script;

/// Every script, ready to be invoked.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) submit: Script,
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) restore: Script,
    pub(super) step: Script,
    pub(super) remove: Script,
    pub(super) show: Script,
    pub(super) peek: Script,
    pub(super) register: Script,
    pub(super) beat: Script,
    pub(super) leave: Script,
    pub(super) share: Script,
    pub(super) servers: Script,
    pub(super) silent: Script,
    pub(super) put_document: Script,
    pub(super) schema: Script,
    pub(super) strays: Script,
    pub(super) look: Script,
    pub(super) remove_document: Script,
}

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $file))
        ))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            submit: script!("submit.lua"),
            claim: script!("claim.lua"),
            renew: script!("renew.lua"),
            restore: script!("restore.lua"),
            step: script!("step.lua"),
            remove: script!("remove.lua"),
            show: script!("show.lua"),
            peek: script!("peek.lua"),
            register: script!("register.lua"),
            beat: script!("beat.lua"),
            leave: script!("leave.lua"),
            share: script!("share.lua"),
            servers: script!("servers.lua"),
            silent: script!("silent.lua"),
            put_document: script!("put_document.lua"),
            schema: script!("schema.lua"),
            strays: script!("strays.lua"),
            look: script!("look.lua"),
            remove_document: script!("remove_document.lua"),
        }
    }
}
