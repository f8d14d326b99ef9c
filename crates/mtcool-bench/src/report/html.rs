//! `report.html`: the table and its learning curves on one page, without anything from elsewhere.

use anyhow::Result;

use super::plot::learning_curves;
use super::render;
use super::table::Table;

/// The page.
///
/// # Errors
/// If a plot cannot be drawn.
pub(super) fn page(table: &Table) -> Result<String> {
    let markdown = render::markdown(table);
    let mut rows = String::new();
    let cells = |line: &str, tag: &str| -> String {
        let cells = line.trim_matches('|').split('|').map(|cell| format!("<{tag}>{}</{tag}>", escape(cell.trim())));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    for (index, line) in markdown.lines().filter(|line| line.starts_with('|')).enumerate() {
        match index {
            0 => rows += &cells(line, "th"),
            1 => {}
            _ => rows += &cells(line, "td"),
        }
    }
    let notes: String = markdown
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .map(|note| format!("<li>{}</li>\n", escape(note)))
        .collect();
    let mut plots = String::new();
    for column in table.columns {
        plots += &format!("<figure>{}</figure>\n", learning_curves(table, column)?);
    }
    let title = escape(&table.title);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
         body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}\n\
         table {{ border-collapse: collapse; }} th, td {{ padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: left; }}\n\
         figure {{ margin: 1.5rem 0; }}\n</style></head>\n<body>\n<h1>{title}</h1>\n<table>\n{rows}</table>\n<ul>\n{notes}</ul>\n{plots}</body></html>\n"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
