//! [`Screen`]: the terminal behind standard error as ratatui draws into it, by the escape sequences of ECMA-48.
//!
//! ratatui's own backends also read keys, and need an event loop and several crates for it, which this view does not.

use std::io::{self, ErrorKind, Write};

use console::Term;
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// Opens the other screen of the terminal, empty and without a cursor.
const OPEN: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
/// Gives the terminal its content and its cursor back.
const CLOSE: &str = "\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l";

/// Opens the other screen of the terminal.
///
/// # Errors
/// If standard error cannot be written.
pub(super) fn open() -> io::Result<()> {
    io::stderr().write_all(OPEN.as_bytes())
}

/// Gives the terminal its content back. Nothing can be done if that fails.
pub(super) fn close() {
    let _ = io::stderr().write_all(CLOSE.as_bytes());
}

/// The terminal behind standard error, which is written when a picture is complete.
#[derive(Debug, Default)]
pub(super) struct Screen {
    written: Vec<u8>,
    cursor: Position,
}

impl Screen {
    fn write(&mut self, sequence: &str) {
        self.written.extend_from_slice(sequence.as_bytes());
    }
}

impl Backend for Screen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut style = None;
        let mut next = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.set_cursor_position(Position { x, y })?;
            }
            let wanted = (cell.fg, cell.bg, cell.modifier);
            if style != Some(wanted) {
                self.write(&style_of(wanted));
                style = Some(wanted);
            }
            self.write(cell.symbol());
            // A wide letter moves the cursor further, and then it is placed anew.
            next = Some((x + 1, y)).filter(|_| cell.symbol().chars().count() == 1 && cell.symbol().len() <= 3);
        }
        self.write("\u{1b}[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.write("\u{1b}[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.write("\u{1b}[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        let Position { x, y } = self.cursor;
        self.write(&format!("\u{1b}[{};{}H", u32::from(y) + 1, u32::from(x) + 1));
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.write(match region {
            ClearType::All => "\u{1b}[2J",
            ClearType::AfterCursor => "\u{1b}[0J",
            ClearType::BeforeCursor => "\u{1b}[1J",
            ClearType::CurrentLine => "\u{1b}[2K",
            ClearType::UntilNewLine => "\u{1b}[0K",
        });
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        let size = Term::stderr().size_checked();
        let (height, width) = size.ok_or_else(|| io::Error::new(ErrorKind::Unsupported, "no size of the terminal"))?;
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size { width: 0, height: 0 } })
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = std::mem::take(&mut self.written);
        io::stderr().write_all(&written)
    }
}

/// The sequence that sets colours and style.
fn style_of((foreground, background, modifier): (Color, Color, Modifier)) -> String {
    let styles =
        [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::UNDERLINED, ";4"), (Modifier::REVERSED, ";7")];
    let styles: String = styles.iter().filter(|(style, _)| modifier.contains(*style)).map(|(_, code)| *code).collect();
    format!("\u{1b}[0{styles};{};{}m", colour(foreground, 30), colour(background, 40))
}

/// The number of a colour; `base` is 30 for letters and 40 for what is behind them.
fn colour(colour: Color, base: u8) -> String {
    let offset = match colour {
        Color::Reset => 9,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        Color::Indexed(index) => return format!("{};5;{index}", base + 8),
        Color::Rgb(red, green, blue) => return format!("{};2;{red};{green};{blue}", base + 8),
    };
    (base + offset).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(cells: &[(u16, u16, Cell)]) -> String {
        let mut screen = Screen::default();
        screen.draw(cells.iter().map(|(x, y, cell)| (*x, *y, cell))).unwrap();
        String::from_utf8(screen.written).unwrap()
    }

    #[test]
    fn neighbours_need_one_position_and_equal_styles_one_sequence() {
        let cell = |symbol: &'static str, colour: Color, modifier: Modifier| {
            let mut cell = Cell::new(symbol);
            (cell.fg, cell.modifier) = (colour, modifier);
            cell
        };
        let cells = [
            (0, 0, cell("a", Color::Cyan, Modifier::BOLD)),
            (1, 0, cell("█", Color::Cyan, Modifier::BOLD)),
            (2, 0, cell("b", Color::Reset, Modifier::empty())),
            (9, 4, cell("c", Color::Reset, Modifier::empty())),
        ];
        let expected = "\u{1b}[1;1H\u{1b}[0;1;36;49ma█\u{1b}[0;39;49mb\u{1b}[5;10Hc\u{1b}[0m";
        assert_eq!(drawn(&cells), expected);
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        assert_eq!(
            (colour(Color::Red, 30), colour(Color::White, 30), colour(Color::Blue, 40)),
            ("31".into(), "97".into(), "44".into())
        );
        assert_eq!(colour(Color::Indexed(200), 30), "38;5;200");
        assert_eq!(colour(Color::Rgb(1, 2, 3), 40), "48;2;1;2;3");
    }
}
