// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/loss/loss.hpp>
#include <prefer/objective/kernel.hpp>

namespace prefer::test {

/// Numbers that float holds exactly (multiples of 2^-6 below 2^7 in size), so that the same problem can be
/// stored as float and as double, and so that sums and differences of log-probabilities do not round.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % bound;
  }
  double between(int low, int high) {
    return low + static_cast<double>(below(static_cast<std::uint64_t>(high - low) * 64)) / 64.0;
  }
  double log_prob() { return -1.0 - between(0, 60); }  // nats, -61 ... -1
  /// Another one: within `reach` nats, below 0, and not the same, where some losses have a kink.
  double near(double x, int reach) {
    double const other = x + between(-reach, reach);
    return other > -0.5 ? -0.5 : other == x ? x - 1.0 : other;
  }

 private:
  std::uint64_t state_;
};

/// What a loss's batches look like.
struct batch_shape {
  std::size_t arity = 2;
  std::size_t list_size = 0;  // 0: lists of 1, 2, 3, 4, 5, 1, 2, ... completions
  bool divergence = false;    // there are derivatives by it
  double unit = 1.0;          // all log-probabilities are multiplied by it; a power of two

  friend bool operator==(batch_shape const&, batch_shape const&) = default;
};

/// Which batch of a shape.
struct draw {
  std::uint64_t seed = 7;
  int reach = 4;  // how far policy and reference are from each other at most, nats
};

/// How far each number that has a derivative is moved, in the order of problem::coefficient_of.
inline constexpr std::size_t most_moves = 5;
using movement = std::array<long double, most_moves>;

/// A batch of pairs, labelled completions or lists in vectors of T, with every column that a loss may read.
template <class T>
struct problem {
  struct completions_of_a_side {
    std::vector<T> policy, reference, score, divergence, alignment, perturbed_toward,
        perturbed_away;
    std::vector<std::int32_t> length;
    std::vector<T> coefficient, divergence_coefficient;
  };
  batch_shape shape;
  draw drawn;
  std::array<completions_of_a_side, 2> side;  // chosen and rejected; the second for pairs only
  std::vector<std::size_t> offset;            // of lists
  std::vector<T> label, weight, beta, from_reference, uniform, kl_policy, mismatched_reference;
  std::vector<T> value;

  problem(batch_shape of, std::size_t n, draw which = {})
      : shape(of), drawn(which), value(n, T(-1)) {
    dice d(which.seed);
    offset.push_back(0);
    for (std::size_t i = 0; i < n; ++i) {
      std::size_t const rows = shape.arity != dynamic_arity ? 1
                               : shape.list_size != 0       ? shape.list_size
                                                            : i % most_moves + 1;
      offset.push_back(offset.back() + rows);
      // The best first: scores fall, with ties in lists, by less than a probability can in pairs.
      double score = shape.arity == dynamic_arity ? 8.0 : 0.5 + d.between(0, 1) / 2;
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t s = 0; s < sides(); ++s) {
          add_completion(side[s], d, which.reach, score);
          score -= shape.arity == dynamic_arity ? static_cast<double>(d.below(3))
                                                : 1.0 / 64 + d.between(0, 1) / 4;
        }
      }
      label.push_back(static_cast<T>(d.below(2)));
      from_reference.push_back(static_cast<T>(i % 2 == 0));
      uniform.push_back(static_cast<T>(d.between(0, 1)));
      if (i < 8) {
        kl_policy.push_back(static_cast<T>(d.log_prob() * shape.unit));
        mismatched_reference.push_back(kl_policy.back() -
                                       static_cast<T>(d.between(0, 1) * shape.unit));
      }
    }
    for (std::size_t s = 0; s < sides(); ++s) open_results(side[s]);
  }

  [[nodiscard]] std::size_t size() const { return value.size(); }
  [[nodiscard]] std::size_t sides() const { return shape.arity == 2 ? 2 : 1; }

  template <std::size_t Arity>
  [[nodiscard]] auto columns() const {
    auto const& first = side[0];
    auto const& second = side[1];
    if constexpr (Arity == 2) {
      pair_columns out{.policy = {first.policy, second.policy},
                       .reference = {first.reference, second.reference},
                       .length = {first.length, second.length},
                       .score = {first.score, second.score},
                       .divergence = {first.divergence, second.divergence},
                       .alignment = {first.alignment, second.alignment},
                       .perturbed_toward = {first.perturbed_toward, second.perturbed_toward},
                       .perturbed_away = {first.perturbed_away, second.perturbed_away},
                       .chosen_from_reference = from_reference,
                       .uniform = uniform};
      if (!weight.empty()) out.weight = weight;
      if (!beta.empty()) out.beta = beta;
      return out;
    } else if constexpr (Arity == 1) {
      unpaired_columns out{.policy = first.policy,
                           .reference = first.reference,
                           .label = label,
                           .length = first.length,
                           .score = first.score,
                           .kl_examples = {kl_policy, mismatched_reference}};
      if (!weight.empty()) out.weight = weight;
      if (!beta.empty()) out.beta = beta;
      return out;
    } else {
      list_columns out{.policy = first.policy,
                       .reference = first.reference,
                       .length = first.length,
                       .score = first.score,
                       .offset = offset};
      if (!weight.empty()) out.weight = weight;
      if (!beta.empty()) out.beta = beta;
      return out;
    }
  }
  template <std::size_t Arity>
  [[nodiscard]] auto results() {
    if constexpr (Arity == 2) {
      pair_results out{
          .value = value, .chosen = side[0].coefficient, .rejected = side[1].coefficient};
      if (shape.divergence) {
        out.chosen_divergence = side[0].divergence_coefficient;
        out.rejected_divergence = side[1].divergence_coefficient;
      }
      return out;
    } else if constexpr (Arity == 1) {
      return unpaired_results{.value = value, .coefficient = side[0].coefficient};
    } else {
      return list_results{.value = value, .coefficient = side[0].coefficient};
    }
  }

  /// How many numbers of example i have a derivative.
  [[nodiscard]] std::size_t moves(std::size_t i) const {
    return shape.arity == 2 ? (shape.divergence ? 4 : 2) : offset[i + 1] - offset[i];
  }
  /// By log_prob of chosen and rejected, or of each completion; then by divergence of chosen and rejected.
  [[nodiscard]] T coefficient_of(std::size_t i, std::size_t which) const {
    if (shape.arity != 2) return side[0].coefficient[offset[i] + which];
    return which < 2 ? side[which].coefficient[i] : side[which - 2].divergence_coefficient[i];
  }
  /// The size of the numbers that an example's derivative number `which` is about, reference included.
  [[nodiscard]] double magnitude_of(std::size_t i, std::size_t which) const {
    auto const size = [](T x) { return x < T(0) ? -static_cast<double>(x) : double(x); };
    if (shape.arity == 2 && which >= 2) return size(side[which - 2].divergence[i]);
    auto const& s = side[shape.arity == 2 ? which : 0];
    std::size_t const at = shape.arity == 2 ? i : offset[i] + which;
    return size(s.policy[at]) + size(s.reference[at]);
  }
  /// All results in one vector: values, then coefficients.
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out = value;
    for (std::size_t i = 0; i < size(); ++i) {
      for (std::size_t k = 0; k < moves(i); ++k) out.push_back(coefficient_of(i, k));
    }
    return out;
  }
  [[nodiscard]] std::vector<T> all_of(std::size_t i) const {
    std::vector<T> out{value[i]};
    for (std::size_t k = 0; k < moves(i); ++k) out.push_back(coefficient_of(i, k));
    return out;
  }
  /// Example i as a problem of its own, with the KL examples of the whole.
  [[nodiscard]] problem alone(std::size_t i) const { return part(i, i + 1); }
  /// Examples [begin, end).
  [[nodiscard]] problem part(std::size_t begin, std::size_t end) const {
    problem out(*this);
    auto const cut = [](auto& v, std::size_t from, std::size_t to) {
      if (!v.empty()) v = {v.begin() + std::ptrdiff_t(from), v.begin() + std::ptrdiff_t(to)};
    };
    for (auto& s : out.side) {
      for (auto* const v :
           {&s.policy, &s.reference, &s.score, &s.divergence, &s.alignment, &s.perturbed_toward,
            &s.perturbed_away, &s.coefficient, &s.divergence_coefficient}) {
        cut(*v, offset[begin], offset[end]);
      }
      cut(s.length, offset[begin], offset[end]);
    }
    for (auto* const v : {&out.label, &out.weight, &out.from_reference, &out.uniform, &out.value}) {
      cut(*v, begin, end);
    }
    cut(out.offset, begin, end + 1);
    for (std::size_t& o : out.offset) o -= offset[begin];
    return out;
  }

 private:
  void add_completion(completions_of_a_side& to, dice& d, int reach, double score) {
    double const policy = d.log_prob();
    to.policy.push_back(static_cast<T>(policy * shape.unit));
    to.reference.push_back(static_cast<T>(d.near(policy, reach) * shape.unit));
    to.perturbed_toward.push_back(static_cast<T>(d.near(policy, 1) * shape.unit));
    to.perturbed_away.push_back(static_cast<T>(d.near(policy, 1) * shape.unit));
    to.length.push_back(static_cast<std::int32_t>(1 + d.below(50)));
    to.score.push_back(static_cast<T>(score));
    to.divergence.push_back(static_cast<T>(d.between(0, 8)));
    to.alignment.push_back(static_cast<T>(d.between(-2, 1)));
  }
  static void open_results(completions_of_a_side& s) {
    s.coefficient.assign(s.policy.size(), T(-1));
    s.divergence_coefficient.assign(s.policy.size(), T(-1));
  }
};

/// Problems of a size, made once for each shape: making a large one takes longer than solving it.
template <class T>
class problems_of_size {
 public:
  explicit problems_of_size(std::size_t n) : size_(n) {}
  [[nodiscard]] problem<T> operator()(batch_shape const& shape) {
    for (auto const& one : made_) {
      if (one.shape == shape) return one;
    }
    made_.emplace_back(shape, size_);
    return made_.back();
  }

 private:
  std::size_t size_;
  std::vector<problem<T>> made_;
};

}  // namespace prefer::test
