// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/quantise.hpp>
#include <prefer/lm/files/weight_changes.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

/// How a model is written.
struct model_output {
  /// Type of matrices; nothing: as they are stored, but F32 for what changed or has no such form in the file's format.
  std::optional<tensor_type> matrices = {};
  /// Of a reward model, written as transformers saves a sequence classifier with one label [width]; a folder alone has a place for it.
  std::span<float const> head = {};
  executor threads = {};
  /// Called before each tensor is computed and written; what it throws leaves the old content in place.
  std::function<void(std::string const& tensor)> before_tensor = {};
};

/// What was written.
struct written_model {
  std::size_t tensors = 0;
  std::size_t bytes = 0;
  /// Matrices whose rows are no whole blocks of the type that was asked for: they are F16.
  std::vector<std::string> not_in_blocks = {};
  std::vector<std::string> files = {};  ///< in the order in which they were written
};

namespace detail {

/// A tensor on its way into a file.
struct planned_tensor {
  expected_tensor expected;
  std::string from;  // the tensor of the base
  tensor_type type = tensor_type::f32;
  bool changed = false;
};

/// Everything that goes into a file, and the configuration of what it will be.
struct output_plan {
  llama_config config;
  std::vector<planned_tensor> tensors;
  std::vector<std::string> not_in_blocks;
};

template <WeightChanges Changes>
[[nodiscard]] output_plan plan_output(model_file const& base, Changes const& changes,
                                      std::optional<tensor_type> matrices, bool blocks) {
  output_plan plan{base.config(), {}, {}};
  if (changes.unties()) plan.config.tied_output = false;
  for (auto& expected : expected_tensors(plan.config)) {
    planned_tensor planned;
    planned.from = base.has(expected.name) ? expected.name : "model.embed_tokens.weight";
    planned.changed = changes.touches(expected.name);
    auto const stored = base.type(planned.from);
    bool const matrix = expected.shape.size() == 2;
    bool const keeps = !planned.changed && (blocks || block_values(stored) == 1);
    if (matrix && matrices) {
      planned.type = *matrices;
    } else if (keeps && (matrix || !blocks)) {
      planned.type = stored;
    }  // else F32: llama.cpp computes with vectors of no other type
    if (expected.shape.back() % block_values(planned.type) != 0) {
      planned.type = tensor_type::f16;
      plan.not_in_blocks.push_back(expected.name);
    }
    planned.expected = std::move(expected);
    plan.tensors.push_back(std::move(planned));
  }
  return plan;
}

[[nodiscard]] inline std::size_t bytes_of_plan(planned_tensor const& planned) {
  std::size_t values = 1;
  for (std::size_t const extent : planned.expected.shape) values *= extent;
  return row_bytes(planned.type, values);
}

/// The bytes of a tensor as the file will hold them.
template <WeightChanges Changes>
[[nodiscard]] std::vector<std::byte> bytes_of(planned_tensor const& planned, model_file const& base,
                                              Changes const& changes, bool interleaved,
                                              model_output const& output) {
  if (output.before_tensor) output.before_tensor(planned.expected.name);
  using T = typename Changes::value_type;
  auto const& shape = planned.expected.shape;
  std::size_t const head_size = base.config().head_size;
  bool const reorder = interleaved && planned.expected.rotated_heads != 0;
  if (shape.size() == 1) {
    auto values = base.vector<T>(planned.from);
    changes.apply(planned.expected.name, 0, values);
    if (reorder) values = interleave_rows(values, 1, head_size, true);
    std::vector<std::byte> bytes(row_bytes(planned.type, values.size()));
    quantise<T>(planned.type, values, bytes);
    return bytes;
  }
  std::size_t const columns = shape[1];
  std::size_t const size = row_bytes(planned.type, columns);
  std::vector<std::byte> bytes(shape[0] * size);
  auto const from = base.matrix<T>(planned.from, weight_storage::as_stored);
  bool const as_it_is = !planned.changed && from.type() == planned.type;
  std::size_t const rows_at_a_time = (std::size_t{1} << 16) / (columns + 1) + 1;
  output.threads.for_each_block(shape[0], rows_at_a_time, [&](std::size_t begin, std::size_t end) {
    std::vector<T> values(as_it_is ? 0 : (end - begin) * columns);
    if (!as_it_is) {
      from.read_rows(begin, end - begin, values.data(), columns);
      changes.apply(planned.expected.name, begin, values);
    }
    for (std::size_t row = begin; row != end; ++row) {
      std::span const to(bytes.data() + (reorder ? interleaved_row(row, head_size) : row) * size,
                         size);
      if (as_it_is) {
        std::memcpy(to.data(), from.row_bytes(row, 1).data(), size);
      } else {
        quantise<T>(planned.type, std::span(values).subspan((row - begin) * columns, columns), to);
      }
    }
  });
  return bytes;
}

}  // namespace detail

/// Bytes of the tensors that a model takes, written to GGUF or to safetensors.
template <WeightChanges Changes>
[[nodiscard]] std::size_t bytes_to_write(model_file const& base, Changes const& changes,
                                         model_output const& output, bool gguf) {
  std::size_t bytes = 0;
  auto const plan = detail::plan_output(base, changes, output.matrices, gguf);
  for (auto const& each : plan.tensors) bytes += detail::bytes_of_plan(each);
  return bytes;
}

}  // namespace prefer::inline v0_1::lm
