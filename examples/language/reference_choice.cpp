// SPDX-License-Identifier: MIT
#include "reference_choice.hpp"

#include <cstddef>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/text/spelling.hpp>

#include "../program/arguments.hpp"

namespace language {

namespace {

[[noreturn]] void refuse(std::string const& text, std::string const& expected) {
  prefer::refuse("--reference " + text + ": expected " + expected);
}

reference_choice average(std::string const& text, std::string_view numbers) {
  std::size_t const comma = numbers.find(',');
  auto const rate = program::read_number<double>(numbers.substr(0, comma));
  if (!rate || !(*rate > 0.0 && *rate <= 1.0)) {
    refuse(text, "ema:RATE with a share above 0, at most 1, such as ema:0.01");
  }
  reference_choice out{.is = reference_choice::kind::moving, .rate = *rate};
  if (comma == std::string_view::npos) return out;
  auto const every = program::read_number<std::uint64_t>(numbers.substr(comma + 1));
  if (!every || *every == 0) refuse(text, "ema:RATE,STEPS with a whole number, at least 1");
  out.every = *every;
  return out;
}

}  // namespace

reference_choice reference_named(std::string const& text) {
  using kind = reference_choice::kind;
  std::size_t const colon = text.find(':');
  std::string const name = text.substr(0, colon);
  std::string const rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  bool const alone = colon == std::string::npos;
  if (alone && name == "adapter-off") return {.is = kind::adapter_off};
  if (alone && name == "frozen") return {.is = kind::frozen};
  if (alone && name == "none") return {.is = kind::none};
  if (name == "cached") {
    if (!alone && rest.empty()) refuse(text, "the name of a file behind cached:");
    return {.is = kind::cached, .path = rest};
  }
  if (name == "ema") return average(text, rest);
  if (name == "model") {
    if (rest.empty()) refuse(text, "the name of a file or a folder behind model:");
    return {.is = kind::other_model, .path = rest};
  }
  std::string meant;
  for (char const* const known : {"adapter-off", "frozen", "cached", "ema", "model", "none"}) {
    if (prefer::text::misspells(name, known)) meant = "; did you mean " + std::string(known) + "?";
  }
  refuse(text,
         "adapter-off, frozen, cached, cached:FILE, ema:RATE, ema:RATE,STEPS, model:FILE or none" +
             meant);
}

}  // namespace language
