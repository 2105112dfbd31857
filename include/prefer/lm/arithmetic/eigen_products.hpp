// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <string_view>

#include <prefer/lm/arithmetic/products.hpp>

namespace prefer::inline v0_1::lm {

/// Matrix products by Eigen, for the processor that the program is compiled for.
///
/// A product of one row, or of few numbers, goes through other code there, and the rows beyond a multiple of four too: so
/// rows are padded.
struct eigen_library {
  [[nodiscard]] static constexpr std::string_view name() { return "Eigen"; }

  template <class T>
  void multiply(product<T> const& p) const {
    using rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
    using stride = Eigen::OuterStride<>;
    auto const index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
    Eigen::Map<rows, 0, stride> to(p.to, index(p.rows), index(p.columns),
                                   stride(index(p.to_stride)));
    auto const store = [&](auto const& left, auto const& right) {
      if (p.add) {
        to.noalias() += left * right;
      } else {
        to.noalias() = left * right;
      }
    };
    auto const with_right = [&](auto const& left) {
      stride const by(index(p.right_stride));
      if (p.right_transposed) {
        store(left,
              Eigen::Map<columns const, 0, stride>(p.right, index(p.depth), index(p.columns), by));
      } else {
        store(left,
              Eigen::Map<rows const, 0, stride>(p.right, index(p.depth), index(p.columns), by));
      }
    };
    stride const by(index(p.left_stride));
    if (p.left_transposed) {
      with_right(Eigen::Map<columns const, 0, stride>(p.left, index(p.rows), index(p.depth), by));
    } else {
      with_right(Eigen::Map<rows const, 0, stride>(p.left, index(p.rows), index(p.depth), by));
    }
  }
  template <class T>
  [[nodiscard]] static constexpr row_rule rows_alike(product<T> const&) {
    return {.least = 20,
            .multiple = 4};  // 20: below that sum of its sizes Eigen takes a product for small
  }
};

inline constexpr eigen_library eigen_products{};

}  // namespace prefer::inline v0_1::lm
