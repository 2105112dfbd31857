// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include <prefer/batch/blocks.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/loss_pass.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/dual.hpp>

// What evaluate runs: a loss over blocks of records, on lanes.

namespace prefer::inline v0_1 {

/// Which loss the coefficients are derivatives of.
enum class reduction : std::uint8_t {
  mean,  ///< of the mean over the batch: 1/B is inside
  none,  ///< of each example's own loss
};

/// How to evaluate. The default is serial; results are the same bits for any number of threads.
struct evaluate_options {
  reduction reduce = reduction::mean;
  executor threads = {};
};

/// Where a pair loss's results go; each may be absent. R is a backend's type of result.
template <class R>
struct basic_pair_results {
  R value = {};                ///< per pair, weight included [B]
  R chosen = {};               ///< d loss / d log_prob of the chosen completion [B]
  R rejected = {};             ///< d loss / d log_prob of the rejected completion [B]
  R chosen_divergence = {};    ///< d loss / d divergence of the chosen completion [B]
  R rejected_divergence = {};  ///< d loss / d divergence of the rejected completion [B]
};
using pair_results = basic_pair_results<mutable_column>;

/// Where an unpaired loss's results go; each may be absent.
template <class R>
struct basic_unpaired_results {
  R value = {};           ///< per completion, weight included [B]
  R coefficient = {};     ///< d loss / d log_prob [B]
  R value_estimate = {};  ///< d loss / d value_estimate [B]
};
using unpaired_results = basic_unpaired_results<mutable_column>;

/// Where a list loss's results go; each may be absent.
template <class R>
struct basic_list_results {
  R value = {};        ///< per list [G]
  R coefficient = {};  ///< per completion [N]
};
using list_results = basic_list_results<mutable_column>;

namespace detail {

// By names of their own, which the names of the kernels' symbols then do not spell out.
inline constexpr std::size_t pair_inputs = inputs_of<pair_columns>;
inline constexpr std::size_t unpaired_inputs = inputs_of<unpaired_columns>;

/// What enters a record as a constant, whether a batch surely has it or not: no partial derivative is taken of it.
template <Loss L>
inline constexpr column_set needed_constants = needs<L> - variables;
template <Loss L>
inline constexpr column_set possible_constants = may_read<L> - variables;

/// Runs `block(in)` with other numbers for examples of weight 0, whose losses are then finite, and so 0 with the weight: 1,
/// which every column may hold but log-probabilities, some of whose losses ask for the rest of the probability.
template <class Columns, class T, std::size_t N, class Block>
[[gnu::noinline]] double sum_without_weightless(T const* const (&in)[N], T const* weight,
                                                std::size_t padded, Block const& block) {
  T room[N][block_size];
  T const* others[N];
  for (std::size_t c = 0; c < N; ++c) {
    bool const of_policy = c == input_of<Columns, column_name::policy> ||
                           c == input_of<Columns, column_name::policy, column_side::chosen> ||
                           c == input_of<Columns, column_name::policy, column_side::rejected>;
    T const other = of_policy ? T(-1) : T(1);
    others[c] = in[c] == nullptr ? nullptr : room[c];
    for (std::size_t i = 0; in[c] != nullptr && i < padded; ++i) {
      room[c][i] = weight[i] != T(0) || in[c] == weight ? in[c][i] : other;
    }
  }
  return block(others);
}

/// The sum of a block's values. An example of weight 0 counts 0 even where its loss is infinite, which a product does not
/// give; asked once for all, because one more condition in the loop over examples costs up to a third of its time.
template <class Columns, class T, std::size_t N, class Block>
[[nodiscard]] double sum_of_block(T const* const (&in)[N], std::size_t weight, std::size_t count,
                                  std::size_t width, Block const& block) {
  double const sum = block(in);
  if (std::isfinite(sum) || in[weight] == nullptr) return sum;
  return sum_without_weightless<Columns>(in, in[weight], (count + width - 1) / width * width,
                                         block);
}

/// One block of pairs: values, coefficients times `scale`, and the sum of values.
///
/// `Plain` is the case that matters for speed: no optional column, both coefficients wanted and no values.
/// Without the tests for them a lane of float takes a third less time.
template <class Lane, bool Plain, Loss L>
[[gnu::noinline, gnu::flatten]] double pair_block(
    L const& given_loss, loss_state<L> const& given_state,
    typename Lane::value_type const* const (&given_in)[pair_inputs],
    typename Lane::value_type* const (&given_out)[pair_outputs], std::size_t count, double scale) {
  using enum column_side;
  using n = column_name;
  constexpr bool diverges = differentiates_divergence<L>;
  constexpr std::size_t log_probs = margin_only<L> ? 1 : 2;
  using S = dual<Lane, log_probs + (diverges ? 2 : 0)>;
  // Copies that no store through a result pointer can change, so that nothing is read again in the loop.
  L const loss = given_loss;
  loss_state<L> const state = given_state;
  kernel_pointers<typename Lane::value_type const*, pair_inputs> const in(given_in);
  kernel_pointers<typename Lane::value_type*, pair_outputs> const out(given_out);
  constexpr column_set needed = needed_constants<L>;
  constexpr column_set possible =
      Plain ? possible_constants<L> - optional_columns : possible_constants<L>;
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    pair_record<S> record;
    load_members<pair_columns, Lane, needed, possible, chosen>(record.chosen, in, i);
    load_members<pair_columns, Lane, needed, possible, rejected>(record.rejected, in, i);
    load_members<pair_columns, Lane, needed, possible>(record, in, i);
    record.chosen.log_prob =
        S::variable(Lane::load(in[input_of<pair_columns, n::policy, chosen>] + i), 0);
    Lane const other_log_prob = Lane::load(in[input_of<pair_columns, n::policy, rejected>] + i);
    if constexpr (log_probs == 2) {
      record.rejected.log_prob = S::variable(other_log_prob, 1);
    } else {
      record.rejected.log_prob = S(other_log_prob);  // its coefficient is minus that of chosen
    }
    if constexpr (diverges) {
      record.chosen.divergence =
          S::variable(Lane::load(in[input_of<pair_columns, n::divergence, chosen>] + i), log_probs);
      record.rejected.divergence = S::variable(
          Lane::load(in[input_of<pair_columns, n::divergence, rejected>] + i), log_probs + 1);
    }

    S y = apply(loss, record, state);
    if constexpr (!Plain) {
      constexpr std::size_t weight = input_of<pair_columns, n::weight>;
      if (in[weight] != nullptr) y = y * Lane::load(in[weight] + i);
      if (out[0] != nullptr) y.value.store(out[0] + i);
    }
    Lane const of_chosen = y.partial[0] * Lane(scale);
    Lane const of_rejected = [&] {
      if constexpr (log_probs == 2) {
        return y.partial[1] * Lane(scale);
      } else {
        return -of_chosen;
      }
    }();
    if (Plain || out[1] != nullptr) of_chosen.store(out[1] + i);
    if (Plain || out[2] != nullptr) of_rejected.store(out[2] + i);
    if constexpr (diverges) {
      for (std::size_t side = 0; side < 2; ++side) {
        if (out[3 + side] == nullptr) continue;
        (y.partial[log_probs + side] * Lane(scale)).store(out[3 + side] + i);
      }
    }
    values.add(y.value);
  }
  values.flush(in_last_lane<Lane>(count));
  return values.total();
}

template <class Lane, Loss L>
[[nodiscard]] double evaluate_pairs(L const& loss, loss_state<L> const& state,
                                    pair_columns const& batch, pair_results const& results,
                                    evaluate_options const& options) {
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  input_columns<pair_columns> const inputs(batch, inputs_for(loss));
  mutable_column const* const targets[pair_outputs] = {
      &results.value, &results.chosen, &results.rejected, &results.chosen_divergence,
      &results.rejected_divergence};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;

  auto block = &pair_block<Lane, false, L>;
  if constexpr (std::same_as<T, float>) {
    using name = column_name;
    bool const plain = inputs.at[input_of<pair_columns, name::weight>] == nullptr &&
                       inputs.at[input_of<pair_columns, name::beta>] == nullptr &&
                       inputs.at[input_of<pair_columns, name::target_margin>] == nullptr &&
                       !results.value.present() && results.chosen.present() &&
                       results.rejected.present();
    if (plain) block = &pair_block<Lane, true, L>;
  }
  return sum_over_blocks<T>(
      n, inputs.at, targets, Lane::width, options.threads,
      [&](auto const& in, auto const& out, std::size_t count) {
        return sum_of_block<pair_columns>(
            in, input_of<pair_columns, column_name::weight>, count, Lane::width,
            [&](auto const& numbers) { return block(loss, state, numbers, out, count, scale); });
      });
}

template <class Lane, Loss L>
[[gnu::noinline, gnu::flatten]] double unpaired_block(
    L const& loss, loss_state<L> const& state,
    typename Lane::value_type const* const (&in)[unpaired_inputs],
    typename Lane::value_type* const (&out)[3], std::size_t count, double scale) {
  constexpr bool estimates = differentiates_value<L>;
  using S = dual<Lane, estimates ? 2 : 1>;
  constexpr std::size_t weight = input_of<unpaired_columns, column_name::weight>;
  constexpr column_set needed = needed_constants<L>;
  constexpr column_set possible = possible_constants<L>;
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    unpaired_record<S> record;
    load_members<unpaired_columns, Lane, needed, possible>(record, in, i);
    record.log_prob =
        S::variable(Lane::load(in[input_of<unpaired_columns, column_name::policy>] + i), 0);
    if constexpr (estimates) {
      constexpr std::size_t at = input_of<unpaired_columns, column_name::value_estimate>;
      record.value_estimate = S::variable(Lane::load(in[at] + i), 1);
    }

    S y = apply(loss, record, state);
    if (in[weight] != nullptr) y = y * Lane::load(in[weight] + i);
    if (out[0] != nullptr) y.value.store(out[0] + i);
    if (out[1] != nullptr) (y.partial[0] * Lane(scale)).store(out[1] + i);
    if constexpr (estimates) {
      if (out[2] != nullptr) (y.partial[1] * Lane(scale)).store(out[2] + i);
    }
    values.add(y.value);
  }
  values.flush(in_last_lane<Lane>(count));
  return values.total();
}

template <class Lane, Loss L>
[[nodiscard]] double evaluate_unpaired(L const& loss, loss_state<L> const& state,
                                       unpaired_columns const& batch,
                                       unpaired_results const& results,
                                       evaluate_options const& options) {
  std::size_t const n = batch.size();
  input_columns<unpaired_columns> const inputs(batch, inputs_for(loss));
  mutable_column const* const targets[3] = {&results.value, &results.coefficient,
                                            &results.value_estimate};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;
  return sum_over_blocks<typename Lane::value_type>(
      n, inputs.at, targets, Lane::width, options.threads,
      [&](auto const& in, auto const& out, std::size_t count) {
        return sum_of_block<unpaired_columns>(in, input_of<unpaired_columns, column_name::weight>,
                                              count, Lane::width, [&](auto const& numbers) {
                                                return unpaired_block<Lane>(loss, state, numbers,
                                                                            out, count, scale);
                                              });
      });
}

}  // namespace detail

}  // namespace prefer::inline v0_1
