// SPDX-License-Identifier: MIT
#include "page.hpp"

#include <algorithm>

#include <prefer/file/atomic_file.hpp>
#include <prefer/report/svg.hpp>
#include <prefer/report/table.hpp>

namespace sweep {

namespace {

namespace plot = prefer::report;

std::string escaped(std::string const& text) { return plot::xml_escaped(text); }

/// A picture inside a page has no declaration of its own.
std::string inline_svg(std::string const& picture) {
  std::size_t const begin = picture.find("<svg");
  return begin == std::string::npos ? picture : picture.substr(begin);
}

}  // namespace

std::string page::text() const {
  std::string out;
  for (auto const& one : sections_) {
    out += one.title + "\n\n";
    for (auto const& each : one.tables) {
      std::vector<plot::table_column> columns;
      for (std::size_t c = 0; c < each.header.size(); ++c) {
        columns.push_back({.header = each.header[c],
                           .align = c < each.words ? plot::align::left : plot::align::right});
      }
      plot::table table(columns);
      for (auto const& row : each.rows) {
        table.add_row(std::vector<plot::table_cell>(row.begin(), row.end()));
      }
      out += table.text() + "\n";
    }
    // Lines of a terminal's usual width.
    std::size_t column = 0;
    for (std::size_t begin = 0; begin < one.note.size();) {
      std::size_t const end = std::min(one.note.find(' ', begin), one.note.size());
      if (column != 0) out += column + end - begin > 100 ? '\n' : ' ';
      if (column + end - begin > 100) column = 0;
      out.append(one.note, begin, end - begin);
      column += end - begin + 1;
      begin = end + 1;
    }
    out += "\n\n";
  }
  return out;
}

std::string page::html() const {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>" +
      escaped(title_) +
      "</title>\n<style>\n"
      "body { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; margin: 2em auto; "
      "max-width: 100em; padding: 0 1em; color: #222; }\n"
      "table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }\n"
      "th, td { padding: 0.25em 0.8em; text-align: right; white-space: nowrap; }\n"
      "th { border-bottom: 1px solid #555; } th.word, td.word { text-align: left; }\n"
      "tr:nth-child(even) td { background: #f5f5f5; }\n"
      "p { max-width: 50em; line-height: 1.4; }\n"
      ".pictures { display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start; }\n"
      ".pictures > svg { max-width: 100%; height: auto; }\n"
      ".wide { overflow-x: auto; }\n"
      "</style>\n</head>\n<body>\n<h1>" +
      escaped(title_) + "</h1>\n";
  for (auto const& one : sections_) {
    out += "<h2>" + escaped(one.title) + "</h2>\n";
    for (auto const& each : one.tables) {
      out += "<div class=\"wide\"><table>\n<tr>";
      auto const cell = [&](char const* tag, std::size_t c, std::string const& text) {
        out += std::string("<") + tag + (c < each.words ? " class=\"word\">" : ">") +
               escaped(text) + "</" + tag + ">";
      };
      for (std::size_t c = 0; c < each.header.size(); ++c) cell("th", c, each.header[c]);
      out += "</tr>\n";
      for (auto const& row : each.rows) {
        out += "<tr>";
        for (std::size_t c = 0; c < row.size(); ++c) cell("td", c, row[c]);
        out += "</tr>\n";
      }
      out += "</table></div>\n";
    }
    out += "<p>" + escaped(one.note) + "</p>\n";
    for (auto const& fault : one.faults) out += "<p>" + escaped(fault) + "</p>\n";
    out += "<div class=\"pictures\">\n";
    for (auto const& picture : one.pictures) out += inline_svg(picture);
    out += "</div>\n";
  }
  return out + "</body>\n</html>\n";
}

void page::write_html(std::string const& path) const {
  prefer::atomic_file file(path);
  file.write(html());
  file.commit();
}

}  // namespace sweep
