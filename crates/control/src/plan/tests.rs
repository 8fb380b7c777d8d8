//! Stories of one model. Each line: what happened `=>` the steps it leads to `|` the outlook.
//!
//! Processes are called `a`, `b`, … in the order of their starts. A retired one is `gone` only when
//! a line says so.

mod story;

use super::{Keeper, Outlook};
use story::{Story, check, wanted};

#[test]
fn the_wanted_number_of_workers_is_started_and_kept() {
    check(
        2,
        "
        look        => start a, start b | starting
        look        => | starting
        ready a     => | starting
        ready b     => | ready
        after 1000s => | ready
    ",
    );
}

#[test]
fn without_workers_of_our_own_nothing_is_started_or_waited_for() {
    check(
        0,
        "
        look        => | failing
        after 1000s => | failing
    ",
    );
}

#[test]
fn a_worker_that_ends_is_replaced_after_a_short_wait() {
    check(
        1,
        "
        look       => start a        | starting
        ready a    =>                | ready
        ended a    => retire a in 0s | starting
        gone a     =>                | starting
        after 1s   => start b        | starting
        ready b    =>                | ready
    ",
    );
}

#[test]
fn a_crash_loop_is_told_and_tried_on_and_one_success_clears_it() {
    check(
        1,
        "
        look       => start a        | starting
        ended a    => retire a in 0s | starting
        after 1s   => start b        | starting
        ended b    => retire b in 0s | starting
        after 1s   => start c        | starting
        ended c    => retire c in 0s | failing
        after 29s  =>                | failing
        after 1s   => start d        | failing
        ended d    => retire d in 0s | failing
        after 30s  => start e        | failing
        ready e    =>                | ready
    ",
    );
}

#[test]
fn one_bad_worker_does_not_stop_the_others() {
    check(
        2,
        "
        look     => start a, start b | starting
        ready b  =>                  | starting
        ended a  => retire a in 0s   | starting
        after 1s => start c          | starting
        ready c  =>                  | ready
    ",
    );
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_ended_and_counts_as_failed() {
    check(
        1,
        "
        look       => start a        | starting
        after 9s   =>                | starting
        after 1s   => retire a in 2s | starting
        after 1s   => start b        | starting
        after 10s  => retire b in 2s | starting
        after 1s   => start c        | starting
        after 10s  => retire c in 2s | failing
    ",
    );
}

#[test]
fn the_search_for_a_program_is_no_part_of_the_start_timeout() {
    check(
        1,
        "
        look         => start a | starting
        launching a  =>         | starting
        after 1000s  =>         | starting
    ",
    );
}

#[test]
fn a_stuck_worker_is_replaced_at_once_and_ended_soon() {
    check(
        1,
        "
        look     => start a                 | starting
        ready a  =>                         | ready
        stuck a  => retire a in 2s, start b | starting
        ready b  =>                         | ready
        gone a   =>                         | ready
    ",
    );
}

#[test]
fn a_worker_that_somebody_drained_is_replaced_and_may_finish() {
    check(
        1,
        "
        look      => start a                  | starting
        ready a   =>                          | ready
        drained a => retire a in 60s, start b | starting
    ",
    );
}

#[test]
fn a_worker_without_a_lease_may_come_back_for_a_while() {
    check(
        1,
        "
        look     => start a        | starting
        ready a  =>                | ready
        lost a   =>                | starting
        after 2s =>                | starting
        ready a  =>                | ready
        lost a   =>                | starting
        after 3s => retire a in 2s | starting
        gone a   =>                | starting
        after 1s => start b        | starting
    ",
    );
}

#[test]
fn a_restart_starts_the_new_ones_first_and_drains_an_old_one_for_each_that_serves() {
    check(
        2,
        "
        look     => start a, start b | starting
        ready a  =>                  | starting
        ready b  =>                  | ready
        restart  => start c, start d | starting
        ready c  => retire b in 60s  | starting
        gone b   =>                  | starting
        ready d  => retire a in 60s  | ready
        gone a   =>                  | ready
    ",
    );
}

#[test]
fn a_restart_that_fails_keeps_the_old_workers() {
    check(
        1,
        "
        look     => start a        | starting
        ready a  =>                | ready
        restart  => start b        | starting
        ended b  => retire b in 0s | starting
        after 1s => start c        | starting
        ended c  => retire c in 0s | starting
        after 1s => start d        | starting
        ended d  => retire d in 0s | failing
        restart  => start e        | starting
        ready e  => retire a in 60s | ready
    ",
    );
}

#[test]
fn an_old_worker_makes_room_when_the_new_one_finds_none() {
    check(
        1,
        "
        look      => start a         | starting
        ready a   =>                 | ready
        restart   => start b         | starting
        no-room b => retire a in 60s | failing
        after 1s  => start c         | failing
        no-room c =>                 | failing
        gone a    =>                 | failing
        after 1s  => start d         | failing
        ready d   =>                 | ready
    ",
    );
}

#[test]
fn a_start_that_cannot_be_begun_is_told_at_once_and_tried_now_and_then() {
    check(
        1,
        "
        look      => start a | starting
        refused a =>         | failing
        after 29s =>         | failing
        after 1s  => start b | failing
        ready b   =>         | ready
    ",
    );
}

#[test]
fn a_worker_that_says_that_it_never_will_start_is_given_up_until_somebody_asks_again() {
    check(
        1,
        "
        look         => start a        | starting
        never a      => retire a in 0s | failing
        gone a       =>                | failing
        after 9000s  =>                | failing
        again        => start b        | starting
        never b      => retire b in 0s | failing
        restart      => start c        | starting
        ready c      =>                | ready
        again        =>                | ready
    ",
    );
}

#[test]
fn a_worker_that_says_that_it_may_start_later_is_told_at_once_and_tried_now_and_then() {
    check(
        1,
        "
        look      => start a        | starting
        later a   => retire a in 0s | failing
        after 29s =>                | failing
        after 1s  => start b        | failing
        ready b   =>                | ready
    ",
    );
}

#[test]
fn a_restart_that_never_will_succeed_keeps_the_old_workers() {
    check(
        1,
        "
        look        => start a        | starting
        ready a     =>                | ready
        restart     => start b        | starting
        never b     => retire b in 0s | failing
        after 9000s =>                | failing
        restart     => start c        | starting
        ready c     => retire a in 60s | ready
    ",
    );
}

#[test]
fn fewer_workers_are_drained_and_those_go_first_that_do_not_serve() {
    check(
        3,
        "
        look      => start a, start b, start c | starting
        ready b   =>                           | starting
        ready c   =>                           | starting
        workers 2 => retire a in 2s            | ready
        workers 1 => retire c in 60s           | ready
        workers 0 => retire b in 60s           | failing
        gone a    =>                           | failing
    ",
    );
}

#[test]
fn more_workers_are_started() {
    check(
        1,
        "
        look      => start a          | starting
        ready a   =>                  | ready
        workers 3 => start b, start c | starting
    ",
    );
}

#[test]
fn after_a_restart_of_our_own_running_workers_are_taken_up() {
    let mut story = Story::new(2);
    story.line("look => start a, start b | starting");
    story.line("ready a => | starting");
    story.keeper = Keeper::new("m".parse().unwrap(), wanted(2));
    story.line("look => | starting");
    story.line("ready b => | ready");
    story.line("ended a => retire a in 0s | starting");
}

#[test]
fn what_ended_while_nobody_looked_is_cleared_away() {
    let mut story = Story::new(1);
    story.line("look => start a | starting");
    story.keeper = Keeper::new("m".parse().unwrap(), wanted(1));
    story.line("ended a => start b, retire a in 0s | starting");
}

#[test]
fn the_reason_tells_what_the_last_worker_said() {
    let mut story = Story::new(1);
    for launch in ["a", "b", "c"] {
        story.happen("after 30s");
        story.plan();
        story.happen(&format!("ended {launch}"));
        story.plan();
    }
    let Outlook::Failing { reason } = story.plan().1 else { panic!("it is failing") };
    assert_eq!(
        reason,
        "its worker failed 3 times in a row; the last time: exit code 1: ImportError: no c"
    );
}

#[test]
fn the_first_load_is_over_with_the_first_success_or_failure() {
    for (end, over) in [("look", false), ("ready a", true), ("ended a", true), ("refused a", true)]
    {
        let mut story = Story::new(1);
        story.plan();
        story.happen(end);
        story.plan();
        assert_eq!(story.keeper.first_load_is_over(), over, "{end}");
    }
}
