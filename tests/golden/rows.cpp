// SPDX-License-Identifier: MIT
#include <cmath>
#include <utility>

#include <prefer/data/lines.hpp>

#include "golden.hpp"
#include "schema.hpp"

namespace golden {

golden_file read(std::string const& path) {
  std::string content;
  prefer::data::file_bytes bytes(prefer::data::place{"golden", path, 0});
  char room[1 << 14];
  while (std::size_t const got = bytes.read(room, sizeof room)) content.append(room, got);
  if (content.empty()) refuse(path, "there is nothing in it; expected a golden file");
  golden_file out{path, {}};
  try {
    out.content = json::parse(content);
  } catch (json::parse_error const& error) {
    std::size_t const read = error.byte < content.size() ? error.byte : content.size();
    std::size_t line = 1;
    for (std::size_t i = 0; i < read; ++i) line += content[i] == '\n' ? 1 : 0;
    refuse(path + ":" + std::to_string(line), read == content.size()
                                                  ? "truncated: the file ends inside its JSON"
                                                  : "not valid JSON; expected a golden file");
  }
  text_of(out.content, "family", path);
  if (!member(out.content, "inputs", path).is_object()) {
    refuse(path, "field \"inputs\" is not an object");
  }
  if (!member(out.content, "cases", path).is_array()) {
    refuse(path, "field \"cases\" is not a list");
  }
  return out;
}

double golden_case::value(char const* name, double otherwise) const {
  auto const found = hyper->find(name);
  if (found == hyper->end() || found->is_null()) return otherwise;
  if (found->is_boolean()) return found->get<bool>() ? 1.0 : 0.0;
  return number_of(*found, place + ", hyper." + name);
}

std::string golden_case::text(char const* name, std::string const& otherwise) const {
  auto const found = hyper->find(name);
  return found == hyper->end() ? otherwise : found->get<std::string>();
}

bool golden_case::has(char const* name) const {
  auto const found = hyper->find(name);
  return found != hyper->end() && !found->is_null();
}

std::vector<double> golden_case::input(char const* name) const {
  std::vector<double> out;
  for (auto const& element : member(*inputs, name, place)) {
    if (element.is_boolean()) {
      out.push_back(element.get<bool>() ? 1.0 : 0.0);
    } else if (element.is_array()) {
      double sum = 0.0;
      for (auto const& token : element) sum += number_of(token, place);
      out.push_back(sum);
    } else {
      out.push_back(number_of(element, place));
    }
  }
  return out;
}

std::vector<std::vector<double>> golden_case::token_input(char const* name) const {
  return member(*inputs, name, place).get<std::vector<std::vector<double>>>();
}

bool golden_case::per_token() const {
  auto const found = inputs->find("policy_chosen");
  return found != inputs->end() && !found->empty() && found->front().is_array();
}

std::vector<double> golden_case::tokens(char const* policy, char const* length) const {
  if (has_input(length)) return input(length);
  std::vector<double> out;
  if (per_token()) {
    for (auto const& row : member(*inputs, policy, place)) {
      out.push_back(static_cast<double>(row.size()));
    }
  }
  return out;
}

std::vector<golden_case> cases_of(golden_file const& file) {
  std::vector<golden_case> out;
  std::string const family = text_of(file.content, "family", file.path);
  json const& inputs = file.content["inputs"];
  for (auto const& fields : file.content["cases"]) {
    golden_case one;
    one.place = file.path + ", case " + std::to_string(out.size());
    one.id = text_of(fields, "id", one.place);
    one.place = file.path + ", case " + one.id;
    one.loss_type = text_of(fields, "loss_type", one.place);
    one.inputs_name = text_of(fields, "inputs", one.place);
    one.family =
        family == "exact_edges" ? one.inputs_name.substr(0, one.inputs_name.find('/')) : family;
    one.exact = text_of(fields, "source", one.place) == "formula";
    json const& finite = member(fields, "finite", one.place);
    if (!finite.is_boolean()) refuse(one.place, "field \"finite\" is not true or false");
    one.finite = finite.get<bool>();
    one.hyper = &member(fields, "hyper", one.place);
    if (!one.hyper->is_object()) refuse(one.place, "field \"hyper\" is not an object");
    one.inputs = &member(inputs, one.inputs_name.c_str(), one.place + ", inputs");
    one.fields = &fields;
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace golden
