//! The step loop: take commands, schedule, run, choose, settle, tell.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use engine::{
    Batch, Engine, Event, FinishReason, ModelRunner, Output, Row, Sampled, SequenceId, Usage,
};
use tokio::sync::mpsc;
use worker::Running;

use crate::{
    generation::{Controls, Finish, Generation, Item, TokenEvent},
    metrics::Meter,
    sample::{Choosing, Samplers},
    service::Command,
};

/// How often a call is said to go forward while its sequences are computed, so that a
/// `progress_timeout` of seconds never takes a long answer, or a long prompt, for a stuck call.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Why a sequence ends whose logits are no numbers.
const NOT_A_NUMBER: &str = "no logit of the model is a number here; its weights may be damaged";

/// The owner of everything that a step needs. `run` consumes it.
pub(crate) struct StepLoop {
    engine: Engine,
    runner: Box<dyn ModelRunner>,
    samplers: Samplers,
    live: HashMap<SequenceId, Live>,
    commands: Receiver<Command>,
    meter: Arc<Meter>,
}

/// A sequence that the engine knows, as its reader sees it.
struct Live {
    /// Its number among those that were asked for together.
    index: usize,
    /// It is the one for which the prompt is counted.
    is_first_choice: bool,
    controls: Controls,
    halted: bool,
    call: Option<Running>,
    events: mpsc::Sender<Item>,
    arrived: Instant,
    progressed: Instant,
    last_token: Option<Instant>,
    told_tokens: usize,
}

impl StepLoop {
    pub(crate) fn new(
        engine: Engine,
        runner: Box<dyn ModelRunner>,
        commands: Receiver<Command>,
        meter: Arc<Meter>,
        samplers: Samplers,
    ) -> Self {
        Self { engine, runner, samplers, live: HashMap::new(), commands, meter }
    }

    /// Works until every handle is gone and everything asked for has ended.
    pub(crate) fn run(mut self) {
        while self.take_commands() {
            self.abort_unread();
            self.step();
            self.meter.level(&self.engine.stats());
        }
    }

    /// One step of every sequence that is due.
    fn step(&mut self) {
        let Some(batch) = self.engine.schedule() else { return };
        let rows = match self.runner.run(&batch) {
            Ok(output) => output.rows,
            Err(error) => return self.fail(&batch, &types::chain(&error)),
        };
        note(&batch, &mut self.live, &self.meter);
        let (sampled, failed) =
            choose(&self.engine, &mut self.samplers, &mut self.live, &batch, rows);
        for (sequence, reason) in failed {
            self.end(sequence, Finish::Failed(reason));
        }
        for event in self.engine.settle(&batch, sampled) {
            self.tell(event);
        }
    }

    // --- what comes in ---

    /// Takes what waits. Without anything to do it waits itself, without using a processor. False
    /// when there is nothing to do and never will be.
    fn take_commands(&mut self) -> bool {
        if self.live.is_empty() {
            match self.commands.recv() {
                Ok(command) => self.admit(command),
                Err(_) => return false,
            }
        }
        while let Ok(command) = self.commands.try_recv() {
            self.admit(command);
        }
        true
    }

    /// Takes all generations of a request, or none.
    fn admit(&mut self, command: Command) {
        let Command { generations, arrived, events, admitted } = command;
        // The caller left while its command waited.
        if events.is_closed() {
            return;
        }
        let mut added = Vec::new();
        for generation in generations {
            match self.add(generation, added.len(), arrived, &events) {
                Ok(sequences) => added.extend(sequences),
                Err(refused) => {
                    added.into_iter().for_each(|sequence| self.forget(sequence));
                    // Whoever left does not want to know.
                    let _ = admitted.send(Err(refused));
                    return;
                }
            }
        }
        let _ = admitted.send(Ok(()));
    }

    fn add(
        &mut self,
        generation: Generation,
        index: usize,
        arrived: Instant,
        events: &mpsc::Sender<Item>,
    ) -> Result<Vec<SequenceId>, engine::Refused> {
        let Generation { mut request, choices, call } = generation;
        request.guided = choices.iter().any(|controls| controls.guidance.is_some());
        let sequences = self.engine.add_choices(&request, choices.len())?;
        for (choice, (sequence, controls)) in sequences.iter().zip(choices).enumerate() {
            let live = Live {
                index: index + choice,
                is_first_choice: choice == 0,
                controls,
                halted: false,
                call: call.clone(),
                events: events.clone(),
                arrived,
                progressed: arrived,
                last_token: None,
                told_tokens: 0,
            };
            self.live.insert(*sequence, live);
        }
        Ok(sequences)
    }

    /// Forgets what was added a moment ago, untold.
    fn forget(&mut self, sequence: SequenceId) {
        self.engine.abort(sequence);
        self.live.remove(&sequence);
    }

    /// Aborts the sequences whose reader left.
    fn abort_unread(&mut self) {
        let unread = self.live.extract_if(|_, live| live.events.is_closed());
        for (sequence, live) in unread {
            let usage = self.engine.abort(sequence).unwrap_or_default();
            live.close(usage, None, &self.meter);
        }
    }

    // --- what goes out ---

    fn tell(&mut self, event: Event) {
        match event {
            Event::Token { sequence, sampled } => self.tell_token(sequence, sampled),
            Event::Finished { sequence, reason, usage } => {
                let Some(live) = self.live.remove(&sequence) else { return };
                let finish = match reason {
                    _ if live.halted => Finish::Halted,
                    FinishReason::Stop(token) => Finish::Stop(token),
                    FinishReason::Length => Finish::Length,
                };
                live.close(usage, Some(finish), &self.meter);
            }
        }
    }

    fn tell_token(&mut self, sequence: SequenceId, sampled: Sampled) {
        let Some(live) = self.live.get_mut(&sequence) else { return };
        let token = sampled.token;
        let accepted = match &mut live.controls.guidance {
            Some(guidance) => guidance.accept(token),
            None => Ok(()),
        };
        live.token(sampled, &self.meter);
        live.halted = live.controls.halt.as_mut().is_some_and(|halt| halt(token));
        match accepted {
            Err(reason) => self.end(sequence, Finish::Failed(reason)),
            Ok(()) if live.halted => self.end(sequence, Finish::Halted),
            Ok(()) => {}
        }
    }

    /// Ends a sequence that the engine would go on with. One that it has just ended by itself is
    /// told of by its own event.
    fn end(&mut self, sequence: SequenceId, finish: Finish) {
        let Some(usage) = self.engine.abort(sequence) else { return };
        if let Some(live) = self.live.remove(&sequence) {
            live.close(usage, Some(finish), &self.meter);
        }
    }

    /// A step failed: those in it cannot go on, all others can.
    fn fail(&mut self, batch: &Batch, reason: &str) {
        tracing::error!(reason, sequences = batch.chunks.len(), "a step failed");
        for chunk in &batch.chunks {
            self.end(chunk.sequence, Finish::Failed(reason.to_owned()));
        }
    }
}

impl Live {
    fn token(&mut self, sampled: Sampled, meter: &Meter) {
        let now = Instant::now();
        match self.last_token.replace(now) {
            None => meter.first_token(now - self.arrived),
            Some(before) => meter.next_token(now - before),
        }
        self.told_tokens += 1;
        // There is room for every token. A reader that left is noticed before the next step.
        let _ = self.events.try_send((self.index, TokenEvent::Token(sampled)));
    }

    /// The engine has let go of it: account for it, give the call back, and tell the reader if
    /// there is something to tell.
    fn close(self, mut usage: Usage, finish: Option<Finish>, meter: &Meter) {
        if !self.is_first_choice {
            (usage.prompt_tokens, usage.cached_tokens) = (0, 0);
        }
        meter.ended(&usage, self.told_tokens);
        if let Some(call) = self.call {
            call.usage("prompt_tokens", usage.prompt_tokens as u64);
            call.usage("cached_tokens", usage.cached_tokens as u64);
            call.usage("completion_tokens", usage.completion_tokens as u64);
            // Given back here, before the answer can end.
        }
        if let Some(reason) = finish {
            let _ = self.events.try_send((self.index, TokenEvent::Finished { reason, usage }));
        }
    }
}

/// Counts a batch that was run, and says that its calls go forward.
fn note(batch: &Batch, live: &mut HashMap<SequenceId, Live>, meter: &Meter) {
    meter.stepped(batch);
    let now = Instant::now();
    for chunk in &batch.chunks {
        let Some(live) = live.get_mut(&chunk.sequence) else { continue };
        if let Some(call) = &live.call
            && now - live.progressed >= PROGRESS_EVERY
        {
            live.progressed = now;
            call.progress(None, None, None);
        }
    }
}

/// What is chosen for each chunk, and the sequences for which nothing can be.
type Chosen = (Vec<Option<Sampled>>, Vec<(SequenceId, String)>);

/// Chooses a token for each chunk that asks for one.
fn choose(
    engine: &Engine,
    samplers: &mut Samplers,
    live: &mut HashMap<SequenceId, Live>,
    batch: &Batch,
    rows: Vec<Row<'_>>,
) -> Chosen {
    let mut sampled: Vec<Option<Sampled>> = Vec::with_capacity(rows.len());
    let (mut places, mut open, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (chunk, row) in batch.chunks.iter().zip(rows) {
        let logits = match row {
            Row::Logits(logits) if chunk.output == Output::Logits => logits,
            Row::Argmax(token) => {
                sampled.push(Some(token.into()));
                continue;
            }
            Row::Nothing | Row::Logits(_) => {
                sampled.push(None);
                continue;
            }
            Row::NotANumber => {
                sampled.push(None);
                failed.push((chunk.sequence, NOT_A_NUMBER.to_owned()));
                continue;
            }
        };
        let sequence = chunk.sequence;
        let guidance = live.get_mut(&sequence).and_then(|live| live.controls.guidance.take());
        places.push(sampled.len());
        sampled.push(None);
        open.push(Choosing { sequence, logits, guidance, chosen: Err(String::new()) });
    }
    samplers.choose(engine, &mut open);
    for (place, row) in places.into_iter().zip(open) {
        if let Some(live) = live.get_mut(&row.sequence) {
            live.controls.guidance = row.guidance;
        }
        match row.chosen {
            Ok(token) => sampled[place] = Some(token),
            Err(reason) => failed.push((row.sequence, reason)),
        }
    }
    (sampled, failed)
}
