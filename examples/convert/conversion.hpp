// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/parallel/executor.hpp>

namespace convert {

/// What is to be converted into what.
struct request {
  std::string model;
  std::string adapter;                          // a folder or a GGUF file; empty: none
  bool keep_apart = false;                      // the adapter alone is written
  std::string output;                           // a file that ends in .gguf, or a folder
  std::optional<prefer::lm::tensor_type> type;  // of matrices; nothing: as they are
  std::size_t shard_bytes = 0;
};

/// What was written.
struct conversion {
  std::vector<std::string> files;
  std::size_t tensors = 0;
  std::size_t bytes = 0;
  std::vector<std::string> not_in_blocks;  // F16 in place of Q8_0
  std::vector<std::string> warnings;
};

/// True where the output is one GGUF file.
[[nodiscard]] bool writes_gguf(request const& what);

/// Opens what the request names, tries where its output goes, and writes it. `before` is called with the number of tensors
/// and the name of each before it is written; what it throws ends the work, and earlier output stays.
[[nodiscard]] conversion run(request const& what, prefer::executor threads,
                             std::function<void(std::size_t, std::string const&)> const& before);

}  // namespace convert
