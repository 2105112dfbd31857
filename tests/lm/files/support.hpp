// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <vector>

#include <prefer/lm/files/model_file.hpp>

namespace files_test {

namespace lm = prefer::lm;

inline std::string tiny_path(std::string const& name) {
  return std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/" + name;
}

/// The six forms of the family.
inline constexpr std::array tiny_models = {"llama_tied",     "llama_heads", "llama3_scaled",
                                           "mistral_window", "qwen2_bias",  "qwen3_norm"};

/// Every number of a tensor.
template <class T>
std::vector<T> numbers(lm::model_file const& file, std::string const& name) {
  if (file.shape(name).size() == 1) return file.vector<T>(name);
  auto const matrix = file.matrix<T>(name, lm::weight_storage::values);
  return {matrix.values().begin(), matrix.values().end()};
}

}  // namespace files_test
