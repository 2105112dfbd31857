// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/lm/files/model_file.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

/// Refuses a model one of whose numbers is NaN or infinite, which would make every number that it computes so. Reads the
/// whole file.
///
/// Errors  backend_error naming the tensor, the first such row and what was found in it
inline void expect_finite(model_file const& model, executor threads = {}) {
  for (std::string const& name : model.names()) {
    auto const& shape = model.shape(name);
    bool const vector = shape.size() == 1;
    auto const matrix = vector ? weight_matrix<float>(1, shape[0], model.vector<float>(name))
                               : model.matrix<float>(name, weight_storage::as_stored);
    std::size_t const columns = matrix.columns();
    std::atomic<std::size_t> first = matrix.rows();
    threads.for_each_block(matrix.rows(), (std::size_t{1} << 16) / columns + 1,
                           [&](std::size_t begin, std::size_t end) {
                             std::vector<float> row(columns);
                             for (std::size_t r = begin; r != end; ++r) {
                               matrix.read_rows(r, 1, row.data(), columns);
                               // 0 times a number is 0, but for those that are sought; a sum of products is quick.
                               float sum = 0;
                               for (float const each : row) sum += 0.0f * each;
                               if (sum == 0) continue;
                               for (auto seen = first.load();
                                    r < seen && !first.compare_exchange_weak(seen, r);) {
                               }
                               return;
                             }
                           });
    if (first == matrix.rows()) continue;
    std::vector<float> row(columns);
    matrix.read_rows(first, 1, row.data(), columns);
    std::size_t column = 0;
    while (std::isfinite(row[column])) ++column;
    model.at().refuse("tensor " + data::in_quotes(name, 80) + " has " +
                      (std::isnan(row[column]) ? "NaN" : "an infinite number") +
                      (vector ? " at " : " in row " + std::to_string(first) + ", column ") +
                      std::to_string(column) + ", expected finite numbers");
  }
}

}  // namespace prefer::inline v0_1::lm
