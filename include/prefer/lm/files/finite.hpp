// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

/// What is wrong with a tensor one of whose numbers is NaN or infinite, which would make every number of its model so: the first
/// row with such a number, and what was found in it, in words that follow "tensor NAME". Nothing where all are finite.
template <std::floating_point T>
[[nodiscard]] std::optional<std::string> what_is_not_finite(weight_matrix<T> const& matrix,
                                                            executor threads = {}) {
  std::size_t const columns = matrix.columns();
  std::atomic<std::size_t> first = matrix.rows();
  threads.for_each_block(
      matrix.rows(), (std::size_t{1} << 16) / columns + 1, [&](std::size_t begin, std::size_t end) {
        std::vector<T> room(matrix.has_values() ? 0 : columns);
        for (std::size_t r = begin; r != end; ++r) {
          T const* row = room.data();
          if (room.empty()) {
            row = matrix.values().data() + r * columns;
          } else {
            matrix.read_rows(r, 1, room.data(), columns);
          }
          // 0 times a number is 0, but for those that are sought; a sum of products is quick.
          T sum = 0;
          for (std::size_t i = 0; i != columns; ++i) sum += T(0) * row[i];
          if (sum == 0) continue;
          for (auto seen = first.load(); r < seen && !first.compare_exchange_weak(seen, r);) {
          }
          return;
        }
      });
  if (first == matrix.rows()) return std::nullopt;
  std::vector<T> row(columns);
  matrix.read_rows(first, 1, row.data(), columns);
  std::size_t column = 0;
  while (std::isfinite(row[column])) ++column;
  return std::string(std::isnan(row[column]) ? "has NaN" : "has an infinite number") +
         (matrix.rows() == 1 ? " at " : " in row " + std::to_string(first) + ", column ") +
         std::to_string(column) + ", expected finite numbers";
}

/// Refuses a model with such a tensor. Reads the whole file.
///
/// Errors  backend_error naming the tensor, the first such row and what was found in it
inline void expect_finite(model_file const& model, executor threads = {}) {
  for (std::string const& name : model.names()) {
    auto const& shape = model.shape(name);
    auto const matrix = shape.size() == 1
                            ? weight_matrix<float>(1, shape[0], model.vector<float>(name))
                            : model.matrix<float>(name, weight_storage::as_stored);
    if (auto const found = what_is_not_finite(matrix, threads)) {
      model.at().refuse("tensor " + data::in_quotes(name, 80) + " " + *found);
    }
  }
}

}  // namespace prefer::inline v0_1::lm
