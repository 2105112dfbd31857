// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>

// What the logits of a row say, block of the vocabulary by block: sums of one block are of type T and lane by lane, sums of
// blocks are in double.

namespace prefer::inline v0_1::lm::detail {

/// A softmax so far: its largest logit, and sums of what is relative to it.
struct softmax_sums {
  double largest = -std::numeric_limits<double>::infinity();
  double sum = 0;       // of e_v = exp(logit_v - largest)
  double weighted = 0;  // of e_v (logit_v - largest)
  double squares = 0;   // of e_v^2
  double gap = 0;       // of e_v (logit_v - the other model's logit)

  [[nodiscard]] double log_normalizer() const { return largest + std::log(sum); }
  [[nodiscard]] double entropy() const { return std::log(sum) - weighted / sum; }
  [[nodiscard]] double sum_of_squares() const { return squares / (sum * sum); }

  /// exp(from - to) where both may be minus infinity: what was nothing stays nothing.
  [[nodiscard]] static double factor(double from, double to) {
    return from == -std::numeric_limits<double>::infinity() ? 0.0 : std::exp(from - to);
  }
  /// Makes the sums relative to another logit, no smaller one.
  void move_to(double to) {
    if (to == largest) return;
    double const by = factor(largest, to);
    if (by != 0) weighted = by * (weighted + sum * (largest - to));
    sum *= by;
    squares *= by * by;
    gap *= by;
    largest = to;
  }
  void add(softmax_sums other) {
    double const both = other.largest > largest ? other.largest : largest;
    move_to(both);
    other.move_to(both);
    sum += other.sum;
    weighted += other.weighted;
    squares += other.squares;
    gap += other.gap;
  }
};

/// KL(one || other) of two models of a row; rounding leaves none below 0, NaN passes.
[[nodiscard]] inline double divergence_of(softmax_sums const& one, softmax_sums const& other) {
  double const kl = one.gap / one.sum - (one.log_normalizer() - other.log_normalizer());
  return kl < 0 ? 0.0 : kl;
}

/// What is known of a row.
struct row_state {
  softmax_sums policy, reference, toward, away;
  double sum_of_logits = 0;
  std::size_t most_likely = 0;
};

/// What is wanted of rows beside their normalisers.
struct row_wants {
  bool spread = false;  // entropy, squares
  bool mean = false;
  bool most_likely = false;
  bool perturbed = false;
};

template <class T>
[[nodiscard]] inline T largest_of(T const* row, std::size_t count) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  pack a = -std::numeric_limits<double>::infinity();
  pack b = a;
  std::size_t i = 0;
  for (; i + 2 * width <= count; i += 2 * width) {
    a = max(pack::load(row + i), a);
    b = max(pack::load(row + i + width), b);
  }
  T out = largest(max(a, b));
  for (; i != count; ++i) out = row[i] > out ? row[i] : out;
  return out;
}

/// Sums over a row's block relative to `to`, no smaller than its logits. e_v is written over the logits where Store.
///
/// What is no whole lane is filled up with minus infinity, which adds nothing.
template <bool Store, bool Spread, class T>
inline void add_exponentials(std::conditional_t<Store, T, T const>* row, std::size_t count, T to,
                             softmax_sums& sums) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  pack const relative = to;
  pack sum[2] = {0.0, 0.0};
  pack weighted = 0.0, squares = 0.0;
  auto const add = [&](pack z, std::size_t which) {
    pack const d = z - relative;
    pack const e = prefer::detail::exp_nonpositive(d);
    sum[which] += e;
    if constexpr (Spread) {
      weighted += select(e > pack(0.0), e * d, e);  // 0 * -infinity is 0 here; NaN stays
      squares += e * e;
    }
    return e;
  };
  std::size_t i = 0;
  for (; i + 2 * width <= count; i += 2 * width) {
    pack const a = add(pack::load(row + i), 0);
    pack const b = add(pack::load(row + i + width), 1);
    if constexpr (Store) {
      a.store(row + i);
      b.store(row + i + width);
    }
  }
  for (; i < count; i += width) {
    std::size_t const some = at_most(width, count - i);
    pack const e = add(load_first_or(row + i, some, -std::numeric_limits<double>::infinity()), 0);
    if constexpr (Store) store_first(e, row + i, some);
  }
  sums.sum += static_cast<double>(prefer::sum(sum[0] + sum[1]));
  if constexpr (Spread) {
    sums.weighted += static_cast<double>(prefer::sum(weighted));
    sums.squares += static_cast<double>(prefer::sum(squares));
  }
}

/// Sum over a row's block of e_v (logit_v - other_v), e_v = exp(logit_v - to).
template <class T>
[[nodiscard]] inline double weighted_gap(T const* row, T const* other, std::size_t count, T to) {
  using pack = lane<T>;
  pack const relative = to;
  pack gap = 0.0;
  for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
    pack const z = load_first_or(row + i, some, -std::numeric_limits<double>::infinity());
    pack const e = prefer::detail::exp_nonpositive(z - relative);
    gap += select(e > pack(0.0), e * (z - load_first(other + i, some)), e);
  });
  return static_cast<double>(prefer::sum(gap));
}

template <class T>
[[nodiscard]] inline double sum_of(T const* row, std::size_t count) {
  lane<T> sum = 0.0;
  for_each_lane<T>(0, count,
                   [&](std::size_t i, std::size_t some) { sum += load_first(row + i, some); });
  return static_cast<double>(prefer::sum(sum));
}

/// What exponentials are relative to; 0 where all logits so far are minus infinity.
template <class T>
[[nodiscard]] inline T finite_or_zero(T largest) {
  return largest == -std::numeric_limits<T>::infinity() ? T(0) : largest;
}

/// Makes a row's state relative to the largest logit so far, that of the block included, which is returned as what
/// exponentials are relative to. `first` is the number of the block's first logit.
template <class T>
inline T advance(row_state& state, row_wants const& wants, T const* row, std::size_t first,
                 std::size_t count, T largest_here) {
  if (wants.mean) state.sum_of_logits += sum_of(row, count);
  if (static_cast<double>(largest_here) > state.policy.largest) {
    if (wants.most_likely) {
      std::size_t v = 0;
      while (row[v] != largest_here) ++v;
      state.most_likely = first + v;
    }
    state.policy.move_to(static_cast<double>(largest_here));
  }
  return finite_or_zero(static_cast<T>(state.policy.largest));
}

/// Takes a block of logits into the state that was advanced by it; they become exponentials where Store.
template <bool Store, class T>
inline void absorb(row_state& state, row_wants const& wants, T* row, std::size_t count, T to) {
  if (wants.spread) {
    add_exponentials<Store, true, T>(row, count, to, state.policy);
  } else {
    add_exponentials<Store, false, T>(row, count, to, state.policy);
  }
}

/// Takes a block of the reference's logits, and what compares it with the policy's, into the state that was advanced by
/// the policy's block. `room` is for `count` numbers.
template <class T>
inline void compare(row_state& state, row_wants const& wants, T const* row, T const* reference,
                    std::size_t count, T to, double perturbation, T* room) {
  state.policy.gap += weighted_gap(row, reference, count, to);
  auto const take = [count](T const* from, softmax_sums& into, auto const& more) {
    T const most = largest_of(from, count);
    softmax_sums here{.largest = static_cast<double>(most)};
    add_exponentials<false, false, T>(from, count, finite_or_zero(most), here);
    more(here, finite_or_zero(most));
    into.add(here);
  };
  take(reference, state.reference,
       [&](softmax_sums& here, T most) { here.gap = weighted_gap(reference, row, count, most); });
  if (!wants.perturbed) return;
  auto const moved = [&](double amount, softmax_sums& into) {
    lane<T> const by = amount;
    for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
      lane<T> const z = load_first(row + i, some);
      store_first(z + by * (z - load_first(reference + i, some)), room + i, some);
    });
    take(room, into, [](softmax_sums&, T) {});
  };
  moved(-perturbation, state.toward);
  moved(perturbation, state.away);
}

/// u -> logit in place, see output_layer; `first` is the number of the first one.
template <class T>
inline void products_to_logits(output_layer<T> const& layer, std::size_t first, std::size_t count,
                               T* row) {
  using pack = lane<T>;
  pack const scale = layer.logit_scale;
  pack const inverse_temperature = 1.0 / layer.temperature;
  pack const cap = layer.softcap;
  pack const twice_inverse_cap = layer.softcap == 0 ? 0.0 : 2.0 / layer.softcap;
  for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
    pack u = load_first(row + i, some);
    if (!layer.bias.empty()) u += load_first(layer.bias.data() + first + i, some);
    u = u * scale;
    if (layer.softcap != 0) {
      // tanh |x| = -m / (m + 2), m = expm1(-2 |x|): without cancellation near 0, and without overflow
      pack const m = expm1(-abs(u * twice_inverse_cap));
      pack const t = cap * (m / (m + pack(2.0)));
      u = select(u > pack(0.0), -t, t);
    }
    store_first(u * inverse_temperature, row + i, some);
  });
}

/// d logit / d (hidden . matrix[v] + bias[v]), from the logit.
template <class T>
[[nodiscard]] inline double logit_slope(output_layer<T> const& layer, double logit) {
  double slope = layer.logit_scale / layer.temperature;
  if (layer.softcap != 0) {
    double const t = logit * layer.temperature / layer.softcap;
    slope *= 1 - t * t;
  }
  return slope;
}
/// The same of lanes, without the constant logit_scale / temperature.
template <class T>
[[nodiscard]] inline lane<T> cap_slope(output_layer<T> const& layer, lane<T> logit) {
  lane<T> const t = logit * lane<T>(layer.temperature / layer.softcap);
  return lane<T>(1.0) - t * t;
}

}  // namespace prefer::inline v0_1::lm::detail
