// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// Matrix factorization with a softmax over all items: a recommender as a policy. The prompt is a user, the completion
/// an item.
///
///   logit(u, i)    = sum_f user[u, f] * item[i, f] + bias[i]
///   log_prob(u, i) = logit(u, i) - log sum_i' exp(logit(u, i'))
///
/// The whole softmax of every user of a batch is computed once, as matrix products, and kept from log_prob to
/// finish_backward if it fits into kept_bytes of working memory. If not, or if a step has several micro-batches, it is
/// computed again, to the same bits.
///
/// Parameters  "user" [users, factors], "item" [items, factors], "bias" [items], not decayed; initially 0; user or item must be
///             filled with something else before training, or neither moves
/// Errors      precondition_error for an id out of range, a batch whose shapes disagree, a column that is not one
///             number per completion; NaN and infinity flow through
template <std::floating_point T = float>
class matrix_factorization {
 public:
  using value_type = T;

  matrix_factorization(std::size_t users, std::size_t items, std::size_t factors,
                       std::size_t kept_bytes = std::size_t{64} << 20)
      : users_(users),
        items_(items),
        factors_(factors),
        strips_((items + strip - 1) / strip),
        padded_factors_((factors + width - 1) / width * width),
        user_(users * factors),
        item_(items * factors + width),
        bias_(items),
        user_gradient_(users * factors),
        item_gradient_(items * factors),
        bias_gradient_(items),
        packed_item_(strips_ * strip * factors),
        packed_bias_(strips_ * strip),
        normaliser_(users),
        in_batch_(users),
        sums_(users),
        touched_user_(users),
        touched_item_(items) {
    expects(users > 0, "matrix_factorization: users must be greater than zero");
    expects(items > 0, "matrix_factorization: items must be greater than zero");
    expects(factors > 0, "matrix_factorization: factors must be greater than zero");
    std::size_t const fit = kept_bytes / (strips_ * strip * sizeof(T));
    group_ = detail::at_most(users, fit > 0 ? fit : 1);
    rows_.reserve(users);
    kept_.reserve(group_);
  }

  [[nodiscard]] std::size_t prompts() const { return users_; }
  [[nodiscard]] std::size_t completions() const { return items_; }
  [[nodiscard]] std::size_t factors() const { return factors_; }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {
        {.name = "user", .value = user_, .gradient = user_gradient_, .shape = {users_, factors_}},
        {.name = "item",
         .value = std::span<T>(item_).first(items_ * factors_),
         .gradient = item_gradient_,
         .shape = {items_, factors_}},
        {.name = "bias",
         .value = bias_,
         .gradient = bias_gradient_,
         .shape = {items_},
         .decayed = false}};
  }
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), users_, items_, "matrix_factorization::log_prob");
    for (auto const u : batch.prompt) in_batch_.insert(u);
    rows_.clear();
    in_batch_.drain([&](std::size_t u) { rows_.push_back({u, 0.0}); });
    pack_items();
    for_each_group([&](std::size_t first, std::size_t count) { exponentials(first, count); });
    for_each_part(batch, [&](std::size_t n, std::size_t u, std::size_t i) {
      out[n] = normaliser_[u].log_prob(logit_of(u, i));
    });
  }

  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward_logit(batch, coefficient);
    for_each(batch, 0, batch.size(), [&](std::size_t n, std::size_t u, std::size_t) {
      sums_.add(u, static_cast<double>(coefficient[n]));
    });
  }

  void finish_backward() {
    rows_.clear();
    sums_.drain([&](std::size_t u, double a) { rows_.push_back({u, a}); });
    if (!rows_.empty()) {
      all_items_touched_ = true;
      if (keep_only_rows()) {
        add_expectations(0, rows_.size());
      } else {
        pack_items();
        for_each_group([&](std::size_t first, std::size_t count) {
          exponentials(first, count);
          add_expectations(first, count);
        });
      }
    }
    kept_.clear();  // parameters may move from here on
  }

  void logit(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), users_, items_, "matrix_factorization::logit");
    for_each_part(batch,
                  [&](std::size_t n, std::size_t u, std::size_t i) { out[n] = logit_of(u, i); });
  }

  void backward_logit(choice_batch const& batch, std::span<T const> coefficient) {
    detail::expects_choices(batch, coefficient.size(), users_, items_,
                            "matrix_factorization::backward");
    // Users' rows and items' rows are apart, so that each chunk can go through the examples in order.
    threads_.for_each_chunk(2, [&](std::size_t chunk) {
      if (chunk == 0) {
        for_each(batch, 0, batch.size(), [&](std::size_t n, std::size_t u, std::size_t i) {
          detail::add_scaled(user_gradient_.data() + u * factors_, coefficient[n],
                             item_.data() + i * factors_, factors_);
          touched_user_.insert(u);
        });
      } else {
        for_each(batch, 0, batch.size(), [&](std::size_t n, std::size_t u, std::size_t i) {
          detail::add_scaled(item_gradient_.data() + i * factors_, coefficient[n],
                             user_.data() + u * factors_, factors_);
          bias_gradient_[i] += coefficient[n];
          touched_item_.insert(i);
        });
      }
    });
  }

  /// Sets to 0 what backward and finish_backward have written since the last call: after steps in which normalisers
  /// cancel, that is the rows of the batch and not whole gradients.
  void clear_gradient() {
    auto const clear = [&](auto& gradient, std::size_t row) {
      for (std::size_t f = 0; f != factors_; ++f) gradient[row * factors_ + f] = 0;
    };
    touched_user_.drain([&](std::size_t u) { clear(user_gradient_, u); });
    if (all_items_touched_) {
      touched_item_.drain([](std::size_t) {});
      for (T& each : item_gradient_) each = 0;
      for (T& each : bias_gradient_) each = 0;
    } else {
      touched_item_.drain([&](std::size_t i) {
        clear(item_gradient_, i);
        bias_gradient_[i] = 0;
      });
    }
    all_items_touched_ = false;
  }

  /// Log-probabilities of every item for one user; log_prob's up to rounding.
  void log_probs(std::uint32_t prompt, std::span<T> out) const {
    detail::expects_row(prompt, out.size(), users_, items_, "matrix_factorization::log_probs");
    for (std::size_t i = 0; i != items_; ++i) out[i] = logit_of(prompt, i);
    auto const normaliser = normalise(std::span<T const>(out));
    for (T& each : out) each = normaliser.log_prob(each);
  }

 private:
  using pack = lane<T>;
  static constexpr std::size_t width = pack::width;
  // Logits lie in strips of 64 items, [strips][users of the batch][64]: then the items of a user, and the users of an
  // item, are both near each other, which the products of finish_backward go along.
  static constexpr std::size_t strip = 64;
  static constexpr std::size_t block =
      4 * detail::tile_rows;                // users that a thread takes at a time
  static constexpr std::size_t depth = 96;  // users whose rows stay in the first-level cache
  static_assert(strip % product_panel<T> == 0 && strip % (4 * width) == 0);

  struct row_sum {
    std::size_t user;
    double coefficient;
  };

  [[nodiscard]] T const* user_row(std::size_t u) const { return user_.data() + u * factors_; }
  [[nodiscard]] T const* item_row(std::size_t i) const { return item_.data() + i * factors_; }
  [[nodiscard]] T logit_of(std::size_t u, std::size_t i) const {
    return detail::dot(user_row(u), item_row(i), factors_) + bias_[i];
  }
  [[nodiscard]] T* exponential(std::size_t s, std::size_t row) {
    return exponential_.data() + (s * stride_ + row) * strip;
  }

  static void for_each(choice_batch const& batch, std::size_t begin, std::size_t end, auto&& f) {
    for (std::size_t g = begin; g != end; ++g) {
      for (std::size_t n = batch.offset[g]; n != batch.offset[g + 1]; ++n) {
        f(n, static_cast<std::size_t>(batch.prompt[g]),
          static_cast<std::size_t>(batch.completion[n]));
      }
    }
  }
  // For what writes only element n.
  void for_each_part(choice_batch const& batch, auto&& f) {
    threads_.for_each_block(batch.size(), 256, [&](std::size_t begin, std::size_t end) {
      for_each(batch, begin, end, f);
    });
  }
  void for_each_group(auto&& f) {
    for (std::size_t first = 0; first < rows_.size(); first += group_) {
      f(first, detail::at_most(group_, rows_.size() - first));
    }
  }

  // Items as a right factor, [strips][factors][64]. Items beyond the last have the bias -infinity, and with it the
  // exponential 0.
  void pack_items() {
    threads_.for_each_chunk(strips_, [&](std::size_t s) {
      std::size_t const count = detail::at_most(strip, items_ - s * strip);
      detail::transpose(count, factors_, item_row(s * strip), factors_,
                        packed_item_.data() + s * strip * factors_, strip);
      T* const bias = packed_bias_.data() + s * strip;
      for (std::size_t j = 0; j != strip; ++j) {
        bias[j] = j < count ? bias_[s * strip + j] : -std::numeric_limits<T>::infinity();
      }
    });
  }

  // exp(logit - max) of all items for rows [first, first + count), and their normalisers.
  void exponentials(std::size_t first, std::size_t count) {
    // 24 modulo 32 lets the strips of a block of users fall on different sets of a cache.
    stride_ = (count + 7) / 32 * 32 + 24;
    if (exponential_.size() < strips_ * stride_ * strip) {
      exponential_.resize(strips_ * stride_ * strip);
    }
    threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
      for (std::size_t s = 0; s != strips_; ++s) {
        add_product<T>({.rows = end - begin,
                        .columns = strip,
                        .depth = factors_,
                        .right = packed_item_.data() + s * strip * factors_,
                        .right_stride = strip,
                        .from = packed_bias_.data() + s * strip,
                        .from_stride = 0,
                        .to = exponential(s, begin),
                        .to_stride = strip},
                       [&](std::size_t r) { return user_row(rows_[first + begin + r].user); });
      }
      for (std::size_t r = begin; r != end; ++r) {
        normaliser_[rows_[first + r].user] = exponentiate_row(r);
      }
    });
    kept_.clear();
    for (std::size_t r = 0; r != count; ++r) kept_.push_back(rows_[first + r].user);
  }

  softmax_normaliser<T> exponentiate_row(std::size_t r) {
    constexpr std::size_t chains = 4;  // that do not wait for each other
    pack high[chains];
    pack total[chains];
    for (std::size_t c = 0; c != chains; ++c) {
      high[c] = -std::numeric_limits<double>::infinity();
      total[c] = 0.0;
    }
    for (std::size_t s = 0; s != strips_; ++s) {
      T const* const logit = exponential(s, r);
      for (std::size_t j = 0; j != strip; j += chains * width) {
        for (std::size_t c = 0; c != chains; ++c) {
          high[c] = max(pack::load(logit + j + c * width), high[c]);
        }
      }
    }
    softmax_normaliser<T> out;
    out.max = detail::largest(max(max(high[0], high[1]), max(high[2], high[3])));
    pack const shift = out.max;
    for (std::size_t s = 0; s != strips_; ++s) {
      T* const logit = exponential(s, r);
      for (std::size_t j = 0; j != strip; j += chains * width) {
        for (std::size_t c = 0; c != chains; ++c) {
          pack const e = detail::exp_nonpositive(pack::load(logit + j + c * width) - shift);
          e.store(logit + j + c * width);
          total[c] += e;
        }
      }
    }
    out.sum = sum((total[0] + total[1]) + (total[2] + total[3]));
    out.log_sum = log(out.sum);
    return out;
  }

  // Makes the kept exponentials those of rows_, if they are among them.
  bool keep_only_rows() {
    if (rows_.size() == kept_.size()) {
      for (std::size_t r = 0; r != rows_.size(); ++r) {
        if (rows_[r].user != kept_[r]) return false;
      }
      return true;
    }
    std::size_t k = 0;
    for (auto const& row : rows_) {
      while (k != kept_.size() && kept_[k] < row.user) ++k;
      if (k == kept_.size() || kept_[k] != row.user) return false;
    }
    threads_.for_each_chunk(strips_, [&](std::size_t s) {
      std::size_t from = 0;
      for (std::size_t to = 0; to != rows_.size(); ++to) {
        while (kept_[from] != rows_[to].user) ++from;
        if (from != to) std::memcpy(exponential(s, to), exponential(s, from), strip * sizeof(T));
      }
    });
    return true;
  }

  // Adds to the gradients the part of the normalisers, with e = exp(logit - max):
  //   user[u] -= a_u / sum_u * sum_i e_ui item[i]
  //   item[i] -= sum_u e_ui * a_u / sum_u * user[u]
  void add_expectations(std::size_t first, std::size_t count) {
    weight_.resize(count);
    if (weighted_user_.size() < count * padded_factors_) {
      weighted_user_.resize(count * padded_factors_);
      expected_item_.resize(count * padded_factors_);
    }
    threads_.for_each_block(
        count, block, [&](std::size_t begin, std::size_t end) { add_to_users(first, begin, end); });
    threads_.for_each_chunk(strips_, [&](std::size_t s) { add_to_items(s, count); });
  }

  void add_to_users(std::size_t first, std::size_t begin, std::size_t end) {
    T* const expected = expected_item_.data() + begin * padded_factors_;
    for (std::size_t f = 0; f != (end - begin) * padded_factors_; ++f) expected[f] = 0;
    for (std::size_t s = 0; s != strips_; ++s) {
      add_product<T>({.rows = end - begin,
                      .columns = padded_factors_,
                      .depth = detail::at_most(strip, items_ - s * strip),
                      .right = item_row(s * strip),
                      .right_stride = factors_,
                      .from = expected,
                      .from_stride = padded_factors_,
                      .to = expected,
                      .to_stride = padded_factors_},
                     [&](std::size_t r) -> T const* { return exponential(s, begin + r); });
    }
    for (std::size_t r = begin; r != end; ++r) {
      auto const [u, a] = rows_[first + r];
      weight_[r] = static_cast<T>(-a / static_cast<double>(normaliser_[u].sum));
      T* const weighted = weighted_user_.data() + r * padded_factors_;
      for (std::size_t f = 0; f != factors_; ++f) weighted[f] = weight_[r] * user_row(u)[f];
      detail::add_scaled(user_gradient_.data() + u * factors_, weight_[r],
                         expected_item_.data() + r * padded_factors_, factors_);
    }
  }

  void add_to_items(std::size_t s, std::size_t count) {
    std::size_t const items = detail::at_most(strip, items_ - s * strip);
    T* const gradient = item_gradient_.data() + s * strip * factors_;
    for (std::size_t k = 0; k < count; k += depth) {
      add_product<T>({.rows = items,
                      .columns = factors_,
                      .depth = detail::at_most(depth, count - k),
                      .step = strip,
                      .right = weighted_user_.data() + k * padded_factors_,
                      .right_stride = padded_factors_,
                      .from = gradient,
                      .from_stride = factors_,
                      .to = gradient,
                      .to_stride = factors_},
                     [&](std::size_t j) -> T const* { return exponential(s, k) + j; });
    }
    add_to_bias(s, count, items);
  }

  void add_to_bias(std::size_t s, std::size_t count, std::size_t items) {
    constexpr std::size_t chains = 4;
    T bias[strip] = {};
    T* const gradient = bias_gradient_.data() + s * strip;
    std::memcpy(bias, gradient, items * sizeof(T));
    for (std::size_t j = 0; j < items; j += chains * width) {
      pack sum[chains];
      for (std::size_t c = 0; c != chains; ++c) sum[c] = pack::load(bias + j + c * width);
      for (std::size_t r = 0; r != count; ++r) {
        T const* const from = exponential(s, r) + j;
        pack const weight = weight_[r];
        for (std::size_t c = 0; c != chains; ++c) {
          sum[c] = detail::multiply_add(weight, pack::load(from + c * width), sum[c]);
        }
      }
      for (std::size_t c = 0; c != chains; ++c) sum[c].store(bias + j + c * width);
    }
    std::memcpy(gradient, bias, items * sizeof(T));
  }

  template <class U>
  using numbers = detail::aligned_vector<U>;

  std::size_t users_;
  std::size_t items_;
  std::size_t factors_;
  std::size_t strips_;
  std::size_t padded_factors_;  // to whole lanes
  std::size_t group_ = 1;       // rows whose exponentials fit into kept_bytes
  std::size_t stride_ = 0;      // rows between two strips of exponential_
  numbers<T> user_;
  numbers<T> item_;  // and one lane more, because products read whole lanes of the last row
  numbers<T> bias_;
  numbers<T> user_gradient_;
  numbers<T> item_gradient_;
  numbers<T> bias_gradient_;

  numbers<T> packed_item_;                         // [strips, factors, 64]
  numbers<T> packed_bias_;                         // [strips, 64]
  numbers<T> exponential_;                         // [strips, rows of the group, 64]
  numbers<T> weight_;                              // -a / sum of each row
  numbers<T> weighted_user_;                       // weight * user [rows, padded factors]
  numbers<T> expected_item_;                       // sum_i e_i item[i] [rows, padded factors]
  std::vector<softmax_normaliser<T>> normaliser_;  // [users], those of the last batch
  std::vector<row_sum> rows_;                      // users at work, ascending
  std::vector<std::size_t> kept_;                  // users in exponential_, ascending
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  detail::id_set touched_user_;
  detail::id_set touched_item_;
  bool all_items_touched_ = false;
  executor threads_;
};

}  // namespace prefer::inline v0_1
