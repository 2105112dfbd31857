// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <prefer/data/example.hpp>
#include <prefer/data/message.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

inline void append_piece(std::string& name, std::string_view piece) {
  name += std::to_string(piece.size());
  name += ':';
  name += piece;
}
inline void append_pieces(std::string& name, members const& all) {
  append_piece(name, std::to_string(all.size()));
  for (member const& each : all) {
    append_piece(name, each.name);
    append_piece(name, each.json);
  }
}

}  // namespace detail

/// One text for a prompt or a completion, which no other has: a text is its own, and messages have one that is no UTF-8.
[[nodiscard]] inline std::string name_of(turns const& part) {
  if (part.is_text()) return part.text();
  std::string name = "\xFF";
  for (message const& each : part.messages()) {
    detail::append_piece(name, each.role);
    message_content const& content = each.content;
    name += content.is_absent() ? 'a' : content.is_null() ? 'n' : content.is_text() ? 't' : 'p';
    if (content.is_text()) detail::append_piece(name, content.text());
    if (content.is_parts()) {
      detail::append_piece(name, std::to_string(content.parts().size()));
      for (content_part const& part_of_it : content.parts()) {
        detail::append_piece(name, part_of_it.type);
        detail::append_piece(name, part_of_it.text);
        detail::append_pieces(name, part_of_it.further);
      }
    }
    detail::append_pieces(name, each.further);
  }
  return name;
}

/// The same of a prompt with what a chat template sees beside it.
[[nodiscard]] inline std::string name_of(turns const& prompt, members const& context) {
  std::string name = name_of(prompt);
  if (context.empty()) return name;
  name += '\xFF';
  detail::append_pieces(name, context);
  return name;
}

/// A hash of everything of a prompt or a completion that a model may see.
[[nodiscard]] inline std::uint64_t fingerprint_of(turns const& part) {
  return fingerprint().add(name_of(part)).value();
}
/// A hash of a preference: prompt, context and both completions, in their order.
[[nodiscard]] inline std::uint64_t fingerprint_of(preference_pair const& pair) {
  return fingerprint()
      .add(name_of(pair.prompt, pair.context))
      .add(name_of(pair.chosen))
      .add(name_of(pair.rejected))
      .value();
}
/// A hash of an example: prompt, context, completion and label.
[[nodiscard]] inline std::uint64_t fingerprint_of(unpaired_example const& example) {
  return fingerprint()
      .add(name_of(example.prompt, example.context))
      .add(name_of(example.completion))
      .add(example.label)
      .value();
}

}  // namespace prefer::inline v0_1::data
