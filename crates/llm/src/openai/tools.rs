//! Tools: which may be called, and whether one must be.

use std::collections::HashSet;

use api::openai::{ChatRequest, Tool, ToolChoice};
use serde_json::Value;

use super::ApiError;
use crate::guide::{Callable, Grammar};

/// A grammar has a rule for each, a template shows each.
const TOOLS_MAX: usize = 128;
/// As this API bounds them.
const NAME_BYTES_MAX: usize = 64;

/// The tools of one request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tools {
    /// What the template shows the model.
    pub(super) shown: Vec<Value>,
    /// Forces a call.
    pub(super) forced: Option<Grammar>,
    /// `false`: one call at most.
    pub(super) several: bool,
}

impl Tools {
    pub(super) fn of(request: &ChatRequest) -> Result<Self, ApiError> {
        if request.functions.is_some() {
            return Err(ApiError::unsupported("functions", "use `tools`"));
        }
        let tools = request.tools.as_deref().unwrap_or_default();
        check(tools)?;
        let mode = match &request.tool_choice {
            None => "auto",
            Some(ToolChoice::Mode(mode)) => mode.as_str(),
            Some(ToolChoice::Named(_)) => "named",
        };
        let several = request.parallel_tool_calls.unwrap_or(true);
        match (mode, &request.tool_choice) {
            ("none", _) => return Ok(Self::default()),
            ("auto", _) if tools.is_empty() => return Ok(Self::default()),
            ("auto" | "required" | "named", _) if !tools.is_empty() => {}
            ("required" | "named", _) => {
                return Err(ApiError::invalid(
                    "tool_choice",
                    "`tool_choice` needs `tools` to choose from",
                ));
            }
            (other, _) => {
                let words = format!(
                    "`tool_choice` is `auto`, `none`, `required` or names a function, not `{other}`"
                );
                return Err(ApiError::invalid("tool_choice", words));
            }
        }
        let forced = match &request.tool_choice {
            Some(ToolChoice::Named(named)) => {
                let name = &named.function.name;
                let chosen = tools.iter().find(|tool| tool.function.name == *name);
                let chosen = chosen.ok_or_else(|| {
                    let words = format!("`tool_choice` names `{name}`, which is not among `tools`");
                    ApiError::invalid("tool_choice.function.name", words)
                })?;
                Some(Grammar::Calls { tools: vec![callable(chosen)], several: false })
            }
            _ if mode == "required" => {
                Some(Grammar::Calls { tools: tools.iter().map(callable).collect(), several })
            }
            _ => None,
        };
        Ok(Self { shown: shown(tools), forced, several })
    }
}

/// What the template shows; a definition is made of texts and JSON, so it always serialises.
pub(super) fn shown(tools: &[Tool]) -> Vec<Value> {
    tools.iter().filter_map(|tool| serde_json::to_value(tool).ok()).collect()
}

fn callable(tool: &Tool) -> Callable {
    let function = &tool.function;
    let parameters = function.parameters.clone().unwrap_or(Value::Null);
    Callable { name: function.name.clone(), parameters }
}

fn check(tools: &[Tool]) -> Result<(), ApiError> {
    if tools.len() > TOOLS_MAX {
        let words = format!("`tools` has {} entries; at most {TOOLS_MAX} are taken", tools.len());
        return Err(ApiError::invalid("tools", words));
    }
    let mut seen = HashSet::new();
    for (number, tool) in tools.iter().enumerate() {
        let refuse = |field: &str, words: String| {
            let param = format!("tools[{number}].{field}");
            Err(ApiError::invalid(param.as_str(), format!("`{param}` {words}")))
        };
        let name = tool.function.name.as_str();
        if tool.kind != "function" {
            return refuse("type", format!("is `function`, not `{}`", tool.kind));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return refuse("function.name", format!("has 1 to {NAME_BYTES_MAX} bytes"));
        }
        if !seen.insert(name) {
            return refuse("function.name", format!("is `{name}`, as that of an earlier tool"));
        }
        let parameters = tool.function.parameters.as_ref();
        if parameters.is_some_and(|schema| !schema.is_object() && !schema.is_null()) {
            return refuse("function.parameters", "is a JSON schema, which is an object".into());
        }
    }
    Ok(())
}
