//! `report.html`: the table, the figure and the learning curves on one page that loads no other file.

use anyhow::Result;

use super::plot::learning_curves;
use super::render;
use super::table::Table;

/// The whole page.
///
/// # Errors
/// If a plot cannot be drawn.
pub(super) fn page(table: &Table, figure: Option<&str>) -> Result<String> {
    let body = body(&render::markdown(table));
    let mut plots = figure.map_or_else(String::new, |svg| format!("<figure>{svg}</figure>\n"));
    for column in &table.columns {
        plots += &format!("<figure>{}</figure>\n", learning_curves(table, column)?);
    }
    let title = escape(&table.heading());
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
         body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}\n\
         table {{ border-collapse: collapse; }} th, td {{ padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: left; }}\n\
         figure {{ margin: 1.5rem 0; }}\n</style></head>\n<body>\n{body}{plots}</body></html>\n"
    ))
}

/// Converts the report's Markdown to HTML: headings, tables, lists and paragraphs, which are the only elements in it.
fn body(markdown: &str) -> String {
    let kind = |line: &str| match line {
        line if line.starts_with('|') => "table",
        line if line.starts_with("- ") => "ul",
        _ => "",
    };
    let mut html = String::new();
    let lines: Vec<&str> = markdown.lines().filter(|line| !line.is_empty()).collect();
    for block in lines.chunk_by(|a, b| kind(a) == kind(b) && !kind(a).is_empty()) {
        html += &match (kind(block[0]), block[0]) {
            ("table", _) => format!("<table>\n{}</table>\n", block.iter().enumerate().map(row).collect::<String>()),
            ("ul", _) => {
                let items = block.iter().map(|item| format!("<li>{}</li>\n", escape(item.trim_start_matches("- "))));
                format!("<ul>\n{}</ul>\n", items.collect::<String>())
            }
            (_, heading) if heading.starts_with("### ") => format!("<h2>{}</h2>\n", escape(&heading[4..])),
            (_, heading) if heading.starts_with("## ") => format!("<h1>{}</h1>\n", escape(&heading[3..])),
            (_, text) => format!("<p>{}</p>\n", escape(text)),
        };
    }
    html
}

/// Line `index` of a Markdown table as HTML. Line 1 only separates the header from the other lines, so it gives no HTML.
fn row((index, line): (usize, &&str)) -> String {
    let tag = match index {
        0 => "th",
        1 => return String::new(),
        _ => "td",
    };
    let cells = line.trim_matches('|').split('|').map(|cell| format!("<{tag}>{}</{tag}>", escape(cell.trim())));
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// Escapes text for HTML or SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
