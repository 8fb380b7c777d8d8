//! How tokens are chosen and when an answer ends: from the words of a request to the engine's.

use std::ops::RangeInclusive;

use api::openai::SamplingFields;
use engine::{SamplingParams, TokenId};

use super::ApiError;

/// Each is looked for at every token.
const STOPS_MAX: usize = 16;
/// So much of the answer may have to be held back.
const STOP_BYTES_MAX: usize = 1024;
/// As this API bounds it; what is above is noise. The engine would take more.
const TEMPERATURES: RangeInclusive<f64> = 0.0..=2.0;
/// What a client may ask to see for each place.
pub(super) const TOP_LOGPROBS_MAX: i64 = 20;

/// What the engine takes. The model's own recommendations hold where the request says nothing.
pub(super) fn params(
    fields: &SamplingFields,
    defaults: &SamplingParams,
    seed: u64,
    vocab_size: usize,
) -> Result<SamplingParams, ApiError> {
    if let Some(asked) = fields.temperature
        && !TEMPERATURES.contains(&asked)
    {
        let (least, most) = (TEMPERATURES.start(), TEMPERATURES.end());
        let words = format!("`temperature` must be from {least} to {most}, not {asked:?}");
        return Err(ApiError::invalid("temperature", words));
    }
    let number = |asked: Option<f64>, default: f32| asked.map_or(default, |value| value as f32);
    let top_k = match fields.top_k {
        None => defaults.top_k,
        Some(-1) => 0,
        Some(asked) => within("top_k", asked, 0..=i64::from(u32::MAX))?,
    };
    let params = SamplingParams {
        temperature: number(fields.temperature, defaults.temperature),
        top_k,
        top_p: number(fields.top_p, defaults.top_p),
        min_p: number(fields.min_p, defaults.min_p),
        repetition_penalty: number(fields.repetition_penalty, defaults.repetition_penalty),
        presence_penalty: number(fields.presence_penalty, defaults.presence_penalty),
        frequency_penalty: number(fields.frequency_penalty, defaults.frequency_penalty),
        logit_bias: logit_bias(fields, vocab_size)?,
        // Any number is a seed; negative ones keep their bits.
        seed: fields.seed.map_or(seed, i64::cast_unsigned),
        logprobs: None,
    };
    params.check().map_err(|error| ApiError::invalid(error.field, error.to_string()))?;
    Ok(params)
}

fn logit_bias(fields: &SamplingFields, vocab_size: usize) -> Result<Vec<(TokenId, f32)>, ApiError> {
    let biases = fields.logit_bias.iter().flatten().map(|(token, bias)| {
        match token.parse::<TokenId>() {
            Ok(id) if (id as usize) < vocab_size => Ok((id, *bias as f32)),
            _ => {
                let words = format!(
                    "`logit_bias` names tokens by their ids, which are below {vocab_size}; `{token}` is none"
                );
                Err(ApiError::invalid("logit_bias", words))
            }
        }
    });
    biases.collect()
}

/// How many answers to each prompt.
pub(super) fn choices(fields: &SamplingFields, choices_max: usize) -> Result<usize, ApiError> {
    let most = i64::try_from(choices_max).unwrap_or(i64::MAX);
    within("n", fields.n.unwrap_or(1), 1..=most)
}

/// Stop strings.
pub(super) fn stops(fields: &SamplingFields) -> Result<Vec<String>, ApiError> {
    let stops = fields.stop.as_ref().map_or(&[][..], |stop| stop.as_slice());
    let refuse = |words: String| Err(ApiError::invalid("stop", words));
    if stops.len() > STOPS_MAX {
        return refuse(format!("`stop` takes at most {STOPS_MAX} texts, not {}", stops.len()));
    }
    if stops.iter().any(|stop| stop.is_empty() || stop.len() > STOP_BYTES_MAX) {
        return refuse(format!("a text of `stop` has 1 to {STOP_BYTES_MAX} bytes"));
    }
    Ok(stops.to_vec())
}

/// Tokens that end the answer.
pub(super) fn stop_tokens(
    fields: &SamplingFields,
    end_tokens: &[TokenId],
    vocab_size: usize,
) -> Result<Vec<TokenId>, ApiError> {
    let ignore_end = fields.ignore_eos.unwrap_or(false);
    let mut tokens = if ignore_end { Vec::new() } else { end_tokens.to_vec() };
    let last = i64::try_from(vocab_size).unwrap_or(i64::MAX) - 1;
    for &token in fields.stop_token_ids.iter().flatten() {
        tokens.push(within("stop_token_ids", token, 0..=last)?);
    }
    Ok(tokens)
}

/// How long an answer may become: what is asked, else `default`, else all that fits.
pub(super) fn max_tokens(
    asked: Option<(&'static str, i64)>,
    default: Option<usize>,
    prompt: (&str, usize),
    max_model_len: usize,
) -> Result<usize, ApiError> {
    let (prompt_field, prompt) = prompt;
    let room = max_model_len.saturating_sub(prompt);
    let overflow = |field: &str, words: String| ApiError {
        code: types::ErrorCode::ContextOverflow,
        message: words,
        param: Some(field.to_owned()),
    };
    if room == 0 {
        let words = format!(
            "the context of this model holds {max_model_len} tokens, and `{prompt_field}` alone has {prompt}; shorten it"
        );
        return Err(overflow(prompt_field, words));
    }
    let Some((field, asked)) = asked else {
        return Ok(default.unwrap_or(room).clamp(1, room));
    };
    let asked = within(field, asked, 1..=i64::MAX)?;
    if asked > room {
        let words = format!(
            "the context of this model holds {max_model_len} tokens, and this asks for {}: \
             {prompt} of `{prompt_field}` and {asked} of `{field}`; at most {room} are left",
            prompt.saturating_add(asked)
        );
        return Err(overflow(field, words));
    }
    Ok(asked)
}

/// A whole number that is in its range.
pub(super) fn within<T: TryFrom<i64>>(
    field: &str,
    asked: i64,
    range: RangeInclusive<i64>,
) -> Result<T, ApiError> {
    let value = range.contains(&asked).then(|| T::try_from(asked).ok()).flatten();
    value.ok_or_else(|| {
        let (first, last) = (range.start(), range.end());
        let words = match *last {
            i64::MAX => format!("`{field}` must be at least {first}, not {asked}"),
            last => format!("`{field}` must be from {first} to {last}, not {asked}"),
        };
        ApiError::invalid(field, words)
    })
}
