// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1 {

/// Log-probabilities of every item for many users of a matrix_factorization, some users at a time: what judging it takes,
/// without a table of users x items.
///
///   log_prob(u, i) = logit(u, i) - log sum_i' exp(logit(u, i'))
///
/// Items are copied, rearranged for products of matrices, which are several times as fast as one user after another. The
/// policy is borrowed and does not move meanwhile.
///
/// Errors  precondition_error for users that are not there, or an `out` that is not [count, items]
template <std::floating_point T>
class item_scores {
 public:
  explicit item_scores(matrix_factorization<T>& policy)
      : items_(policy.completions()),
        factors_(policy.factors()),
        packed_((items_ + strip - 1) / strip * strip * factors_),
        bias_((items_ + strip - 1) / strip * strip) {
    for (auto const& each : policy.parameters()) {
      if (each.name == "user") user_ = each.value;
      if (each.name == "item") {
        for (std::size_t s = 0; s < items_; s += strip) {
          detail::transpose(detail::at_most(strip, items_ - s), factors_,
                            each.value.data() + s * factors_, factors_,
                            packed_.data() + s * factors_, strip);
        }
      }
      if (each.name == "bias") {
        std::memcpy(bias_.data(), each.value.data(), items_ * sizeof(T));
      }
    }
  }

  [[nodiscard]] std::size_t items() const { return items_; }
  [[nodiscard]] std::size_t users() const { return user_.size() / factors_; }

  /// Of users [first, first + count): [count, items], matrix_factorization::log_prob's up to rounding.
  void log_probs(std::size_t first, std::size_t count, std::span<T> out,
                 executor const& threads = {}) const {
    expects(first <= users() && count <= users() - first,
            "item_scores::log_probs: there are not as many users");
    expects_size(out.size(), count * items_, "item_scores::log_probs", "out");
    threads.for_each_block(count, rows, [&](std::size_t begin, std::size_t end) {
      T logit[rows * strip];
      for (std::size_t s = 0; s < items_; s += strip) {
        add_product<T>(
            {.rows = end - begin,
             .columns = strip,
             .depth = factors_,
             .right = packed_.data() + s * factors_,
             .right_stride = strip,
             .from = bias_.data() + s,
             .from_stride = 0,
             .to = logit,
             .to_stride = strip},
            [&](std::size_t r) { return user_.data() + (first + begin + r) * factors_; });
        std::size_t const width = detail::at_most(strip, items_ - s);
        for (std::size_t r = begin; r < end; ++r) {
          std::memcpy(out.data() + r * items_ + s, logit + (r - begin) * strip, width * sizeof(T));
        }
      }
      for (std::size_t r = begin; r < end; ++r) {
        auto const row = out.subspan(r * items_, items_);
        auto const normaliser = normalise(std::span<T const>(row));
        for (T& each : row) each = normaliser.log_prob(each);
      }
    });
  }

 private:
  static constexpr std::size_t strip = 64;                    // items in a panel of the product
  static constexpr std::size_t rows = 4 * detail::tile_rows;  // users that a thread takes at a time
  static_assert(strip % product_panel<T> == 0);

  std::size_t items_;
  std::size_t factors_;
  detail::aligned_vector<T> packed_;  // [strips, factors, 64]
  detail::aligned_vector<T> bias_;
  std::span<T const> user_;
};

}  // namespace prefer::inline v0_1
