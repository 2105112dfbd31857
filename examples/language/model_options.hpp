// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>

#include "../program/arguments.hpp"

// What programs that open a language model let a user say about it.

namespace language {

struct model_options {
  std::string model;
  std::string adapter;
  std::string chat_template;
  std::string products = "auto";
  std::string compute = "float32";
  std::string storage = "auto";
  unsigned threads = prefer::available_threads();
};

/// The libraries that --products knows, of which this program may lack some.
[[nodiscard]] std::vector<std::string> products_names();

inline void add_model_options(CLI::App& app, model_options& given) {
  app.add_option("--model", given.model,
                 "A .gguf file, a .safetensors file beside its config.json, or a folder with "
                 "config.json and such files")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--adapter", given.adapter,
                 "A LoRA adapter of that model: a folder in PEFT's layout, or a .gguf file")
      ->type_name("PATH")
      ->check(program::path());
  app.add_option("--chat-template", given.chat_template,
                 "A family of chat templates by name, in place of what the model's file says")
      ->type_name("NAME")
      ->check(program::not_empty("the name of a family of chat templates"));
  app.add_option("--products", given.products,
                 "Who multiplies matrices; auto: the fastest that is here")
      ->check(program::one_of(products_names()))
      ->capture_default_str();
  app.add_option("--compute", given.compute,
                 "Products with weights that do not train: float32, or bf16 with float32 sums")
      ->check(program::one_of({"float32", "bf16"}))
      ->capture_default_str();
  app.add_option("--storage", given.storage,
                 "Weights that do not train in memory: float32, bf16, or file, as the file has "
                 "them; auto: as --compute")
      ->check(program::one_of({"auto", "float32", "bf16", "file"}))
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

}  // namespace language
