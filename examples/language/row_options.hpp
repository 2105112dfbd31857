// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <CLI/CLI.hpp>

#include "../program/arguments.hpp"
#include "../reading_options.hpp"

// What programs that feed rows to a language model let a user say about them.

namespace language {

struct row_options {
  program::reading_options reading;
  std::string texts = "plain";
  std::size_t max_length = 0;  ///< tokens of a prompt and one completion; 0: 1024, or the context
  std::size_t max_prompt = 0;  ///< 0: three quarters of max_length
  std::string too_long = "cut";
};

inline void add_row_options(CLI::App& app, row_options& given) {
  program::add_columns_option(app, given.reading);
  program::add_bad_row_options(app, given.reading);
  program::add_form_options(app, given.reading);
  app.add_option("--texts", given.texts,
                 "Rows that are texts and no messages: plain, as they stand, or chat, as what a "
                 "user said and an assistant answered")
      ->check(program::one_of({"plain", "chat"}))
      ->capture_default_str();
  app.add_option("--max-length", given.max_length,
                 "Most tokens of a prompt and one completion [1024, or the model's context]")
      ->check(program::whole(2, 1 << 20));
  app.add_option("--max-prompt", given.max_prompt,
                 "Most tokens of a prompt [three quarters of --max-length]")
      ->check(program::whole(2, 1 << 20));
  app.add_option("--truncate", given.too_long,
                 "What is longer: cut, a prompt at its beginning and a completion at its end, or "
                 "refuse")
      ->check(program::one_of({"cut", "refuse"}))
      ->capture_default_str();
}

}  // namespace language
