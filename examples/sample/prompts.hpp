// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/data/example.hpp>

namespace sample {

/// What was given for prompts.
struct prompt_options {
  std::vector<std::string> texts = {};
  std::string file = {};
  std::string system = {};
  bool raw = false;
};

/// Declares --prompts, --system and --raw.
void add_prompt_file_options(CLI::App& app, prompt_options& given);
/// Declares these, and prompts as arguments.
void add_prompt_options(CLI::App& app, prompt_options& given);

/// The prompts, in their order: messages for a chat template, or texts with --raw.
///
/// A file is one prompt a line, or JSON: one object a line (or one list of them) with "prompt", a text or messages, or with
/// "messages"; rows of preferences have a prompt too. A text becomes the message of a user, behind --system if that is
/// given.
///
/// Errors  precondition_error: no prompts, prompts in both places, --system or messages with --raw. backend_error with the
///         line: no prompt in a row, an empty one, messages that end in an answer
[[nodiscard]] std::vector<prefer::data::turns> read_prompts(prompt_options const& given);

}  // namespace sample
