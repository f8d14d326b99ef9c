//! Draws a sweep into a terminal: a line per run, the curves of the validation metric, and the last lines of the log.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Row, Table};

use super::state::{Phase, RunState, SweepState, share};

/// The colours of the curves, in turn.
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];
/// The width of a run's bar.
const BAR: usize = 10;
/// The least height of the curves, with their frame and axes.
const LEAST_CURVES: u16 = 8;
/// Number of lines of the log.
const LOG: u16 = 4;

/// Draws `state` at the time `now`; the process holds `memory` bytes.
pub(super) fn draw(frame: &mut Frame<'_>, state: &SweepState, memory: Option<u64>, now: Instant) {
    let all = frame.area();
    let wanted = state.runs.len() as u16 + 1;
    let has_curves = state.runs.iter().any(|run| run.curve.len() > 1);
    let least_curves = if has_curves && all.height > LEAST_CURVES + LOG + 6 { LEAST_CURVES } else { 0 };
    let runs_height = wanted.min(all.height.saturating_sub(least_curves + LOG + 2)).max(2);
    let parts = [
        Constraint::Length(2),
        Constraint::Length(runs_height),
        Constraint::Min(least_curves),
        Constraint::Length(LOG),
    ];
    let [head, runs, curves, log] = Layout::vertical(parts).areas(all);
    frame.render_widget(Paragraph::new(heading(state, memory, now)), head);
    frame.render_widget(table(state, runs, now), runs);
    if least_curves > 0 {
        frame.render_widget(chart(state), curves);
    }
    frame.render_widget(Paragraph::new(last_lines(state)), log);
}

/// What is known about the whole sweep, and what the current run is doing.
fn heading(state: &SweepState, memory: Option<u64>, now: Instant) -> Vec<Line<'static>> {
    let [done, all] = state.batches();
    let mut facts = vec![format!("{} of {} runs finished", state.count(Phase::Finished), state.runs.len())];
    facts.extend([(Phase::Failed, "failed"), (Phase::Elsewhere, "in other processes")].into_iter().filter_map(
        |(phase, word)| Some(state.count(phase)).filter(|&count| count > 0).map(|count| format!("{count} {word}")),
    ));
    facts.push(format!("{:.0} %", 100.0 * share(done, all)));
    facts.push(format!("{} elapsed", HumanDuration(now.duration_since(state.started))));
    facts.extend(state.time_left(now).map(|left| format!("about {} left", HumanDuration(left))));
    facts.extend(memory.map(|bytes| format!("memory {}", BinaryBytes(bytes))));
    let title = Line::styled(format!("{}: {}", state.title, facts.join(", ")), Modifier::BOLD);
    vec![title, Line::raw(state.message.clone())]
}

/// A line per run; if there is no place for all, those around the current one.
fn table(state: &SweepState, place: Rect, now: Instant) -> Table<'static> {
    let visible = usize::from(place.height.saturating_sub(1)).max(1);
    let most = state.runs.len().saturating_sub(visible);
    let first = state.current().saturating_sub(visible / 2).min(most);
    let shown = state.runs.iter().enumerate().skip(first).take(visible);
    let rows = shown.map(|(at, run)| {
        let style = match run.phase {
            Phase::Running => Style::new().fg(colour(at)).add_modifier(Modifier::BOLD),
            Phase::Failed => Style::new().fg(Color::Red),
            Phase::Waiting | Phase::Elsewhere => Style::new().add_modifier(Modifier::DIM),
            Phase::Finished | Phase::Interrupted => Style::new().fg(colour(at)),
        };
        Row::new(cells(run, now)).style(style)
    });
    let widest = state.runs.iter().map(|run| run.shape.name.chars().count()).max().unwrap_or(0);
    let widths = [
        Constraint::Length(widest as u16),
        Constraint::Length(11),
        Constraint::Length(11),
        Constraint::Length(BAR as u16 + 5),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(9),
    ];
    let head = ["run", "state", "epoch", "progress", "left", "last", "conflict"];
    Table::new(rows, widths).header(Row::new(head).style(Modifier::UNDERLINED)).column_spacing(1)
}

fn cells(run: &RunState, now: Instant) -> [String; 7] {
    let filled = ((run.share() * BAR as f64) as usize).min(BAR);
    let bar = format!("{}{}{:4.0}%", "█".repeat(filled), "░".repeat(BAR - filled), 100.0 * run.share());
    let state = match run.phase {
        Phase::Waiting => "waiting",
        Phase::Running => "running",
        Phase::Elsewhere => "elsewhere",
        Phase::Finished => "finished",
        Phase::Failed => "failed",
        Phase::Interrupted => "interrupted",
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        run.shape.name.clone(),
        state.into(),
        format!("{} of {}", run.epoch(), run.shape.epochs),
        bar,
        or_dash(run.time_left(now).map(short)),
        or_dash(run.curve.last().map(|(_, value)| format!("{value:.3}"))),
        or_dash(run.conflict.map(|share| format!("{:.0} %", 100.0 * share))),
    ]
}

/// A time of at most nine letters, such as `1:02:03`.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn colour(at: usize) -> Color {
    COLOURS[at % COLOURS.len()]
}

/// The value on the validation part after each epoch, a curve per run.
fn chart(state: &SweepState) -> Chart<'_> {
    let drawn = state.runs.iter().enumerate().filter(|(_, run)| run.curve.len() > 1);
    let curves = drawn.map(|(at, run)| {
        Dataset::default()
            .name(run.shape.name.clone())
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(colour(at))
            .data(&run.curve)
    });
    let points = || state.runs.iter().flat_map(|run| &run.curve);
    let last = points().map(|(epoch, _)| *epoch).fold(1.0, f64::max);
    let low = points().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = points().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    // A constant needs an axis as well.
    let margin = ((high - low) * 0.05).max(1e-3);
    let labels = |ends: [f64; 2], digits: usize| ends.map(|end| format!("{end:.digits$}"));
    let (horizontal, vertical) = ([0.0, last], [low - margin, high + margin]);
    Chart::new(curves.collect())
        .block(Block::bordered().title(format!("{} by epoch", state.metric)))
        .x_axis(Axis::default().bounds(horizontal).labels(labels(horizontal, 0)))
        .y_axis(Axis::default().bounds(vertical).labels(labels(vertical, 2)))
}

/// The last lines of the log, without the colours of a terminal.
fn last_lines(state: &SweepState) -> Vec<Line<'static>> {
    let first = state.log.len().saturating_sub(usize::from(LOG));
    state.log[first..].iter().map(|line| Line::styled(plain(line), Modifier::DIM)).collect()
}

/// `text` without the sequences that set colours, ESC `[` ... `m`.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::example;
    use super::*;

    /// The lines of a terminal of this size.
    fn screen(state: &SweepState, [width, height]: [u16; 2], now: Instant) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, Some(3 << 29), now)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |row: u16| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
        (0..height).map(|row| line(row).trim_end().to_owned()).collect()
    }

    /// A finished run, one at half of its way, and one that waits.
    fn at_work() -> SweepState {
        let mut state = example();
        state.set_phase(Phase::Running);
        state.add(40, true);
        state.run().unwrap().curve = (1..=4).map(|epoch| (f64::from(epoch), 90.0 + f64::from(epoch))).collect();
        state.set_phase(Phase::Finished);
        state.choose("mtcool-s0");
        state.set_phase(Phase::Running);
        state.add(20, true);
        let run = state.run().unwrap();
        (run.curve, run.conflict) = (vec![(1.0, 91.5), (2.0, 92.25)], Some(0.25));
        state.message = "mtcool-s0 epoch 3 of 4, step 20, loss even 0.1".into();
        state.add_text("\u{1b}[32mINFO\u{1b}[0m joint-s0 is finished\n");
        state
    }

    #[test]
    fn every_run_has_a_line_and_the_curves_stand_below() {
        let state = at_work();
        let now = state.started + Duration::from_secs(60);
        let lines = screen(&state, [100, 24], now);
        let text = lines.join("\n");
        assert!(lines[0].starts_with("table1: 1 of 3 runs finished, 50 %, "), "{text}");
        assert!(lines[0].contains("about ") && lines[0].ends_with("memory 1.50 GiB"), "{text}");
        assert_eq!(lines[1], "mtcool-s0 epoch 3 of 4, step 20, loss even 0.1");
        let words = |at: usize| lines[at].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(2), "run state epoch progress left last conflict");
        assert_eq!(words(3), "joint-s0 finished 4 of 4 ██████████ 100% - 94.000 -");
        assert!(words(4).starts_with("mtcool-s0 running 2 of 4 █████░░░░░ 50% "), "{text}");
        assert!(words(4).ends_with(" 92.250 25 %"), "{text}");
        assert_eq!(words(5), "pcgrad-s0 waiting 0 of 4 ░░░░░░░░░░ 0% - - -");
        assert!(lines[6].contains("accuracy by epoch"), "{text}");
        assert!(text.contains("94.15") && text.contains("90.85"), "the ends of the axis: {text}");
        let is_dot = |letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter);
        assert!(text.chars().filter(|&letter| is_dot(letter)).count() > 20, "no curves: {text}");
        assert_eq!(lines[20], "INFO joint-s0 is finished");
    }

    #[test]
    fn a_small_terminal_shows_the_run_that_is_executed() {
        let state = at_work();
        for size in [[100, 8], [40, 10], [20, 3], [1, 1], [0, 0]] {
            let lines = screen(&state, size, state.started);
            if size == [100, 8] {
                let shown: Vec<&String> = lines.iter().filter(|line| line.contains("-s0 ")).collect();
                assert!(shown.iter().any(|line| line.starts_with("mtcool-s0")), "{lines:?}");
                assert!(!lines.iter().any(|line| line.contains("by epoch")), "{lines:?}");
            }
        }
    }

    #[test]
    fn values_that_are_no_numbers_and_constants_draw_a_chart() {
        let mut state = example();
        state.run().unwrap().curve = vec![(1.0, 50.0), (2.0, 50.0)];
        assert!(screen(&state, [80, 24], state.started).join("\n").contains("50.00"));
        state.run().unwrap().curve = vec![(1.0, f64::NAN), (2.0, f64::NAN)];
        screen(&state, [80, 24], state.started);
    }

    #[test]
    fn times_are_short() {
        assert_eq!(short(Duration::from_secs(62)), "1:02");
        assert_eq!(short(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(plain("\u{1b}[2m1s\u{1b}[0m a"), "1s a");
        assert_eq!(plain("no colours: m"), "no colours: m");
    }
}
