// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/dual.hpp>

// What evaluate runs: a loss over blocks of records, on lanes.

namespace prefer {

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

/// Where a pair loss's results go; each may be absent.
struct pair_results {
  mutable_column value = {};              ///< per pair, weight included [B]
  mutable_column chosen = {};             ///< d loss / d log_prob of the chosen completion [B]
  mutable_column rejected = {};           ///< d loss / d log_prob of the rejected completion [B]
  mutable_column chosen_divergence = {};  ///< d loss / d divergence of the chosen completion [B]
  mutable_column rejected_divergence =
      {};  ///< d loss / d divergence of the rejected completion [B]
};

/// Where an unpaired loss's results go; each may be absent.
struct unpaired_results {
  mutable_column value = {};
  mutable_column coefficient = {};
};

/// Where a list loss's results go; each may be absent.
struct list_results {
  mutable_column value = {};        ///< per list [G]
  mutable_column coefficient = {};  ///< per completion [N]
};

namespace detail {

inline constexpr std::size_t block_size = 1024;  // records handed to a kernel at once
inline constexpr std::size_t chunk_size = 4096;  // records per task; its sum is one partial result
inline constexpr std::size_t most_chunks = 256;
inline constexpr std::size_t parallel_from =
    16384;  // records below which fork-join costs more than it saves

/// Columns of one block as T, padded to whole lanes; null where the loss does not read the column.
template <class T, std::size_t Columns>
class column_block {
 public:
  void gather(column const* const (&columns)[Columns], std::size_t begin, std::size_t count,
              std::size_t width) {
    std::size_t const padded = (count + width - 1) / width * width;
    for (std::size_t c = 0; c < Columns; ++c) {
      if (columns[c] == nullptr) {
        at[c] = nullptr;
        continue;
      }
      at[c] = columns[c]->as(begin, count, room_[c]);
      if (padded == count) continue;
      if (at[c] != room_[c]) {
        for (std::size_t i = 0; i < count; ++i) room_[c][i] = at[c][i];
        at[c] = room_[c];
      }
      for (std::size_t i = count; i < padded; ++i) room_[c][i] = room_[c][count - 1];
    }
  }
  T const* at[Columns];

 private:
  T room_[Columns][block_size];
};

/// Results of one block: written in place when the target stores T, else converted afterwards.
template <class T, std::size_t Results>
class result_block {
 public:
  void open(mutable_column const* const (&targets)[Results], std::size_t begin, std::size_t count,
            std::size_t width) {
    for (std::size_t r = 0; r < Results; ++r) {
      at[r] = nullptr;
      if (targets[r] == nullptr || !targets[r]->present()) continue;
      T* const direct = count % width == 0 ? targets[r]->template direct<T>(begin) : nullptr;
      at[r] = direct != nullptr ? direct : room_[r];
    }
  }
  void close(mutable_column const* const (&targets)[Results], std::size_t begin,
             std::size_t count) {
    for (std::size_t r = 0; r < Results; ++r) {
      if (at[r] == room_[r]) targets[r]->assign(begin, count, room_[r]);
    }
  }
  T* at[Results];

 private:
  T room_[Results][block_size];
};

/// Runs `chunk(begin, count) -> sum` over [0, n) in fixed pieces and adds the sums up in order.
template <class Chunk>
[[nodiscard]] double sum_over_chunks(std::size_t n, executor threads, Chunk const& chunk) {
  std::size_t size = chunk_size;
  while ((n + size - 1) / size > most_chunks) size *= 2;
  std::size_t const chunks = (n + size - 1) / size;
  double partial[most_chunks];
  auto const run = [&](std::size_t c) {
    std::size_t const begin = c * size;
    partial[c] = chunk(begin, at_most(size, n - begin));
  };
  if (n < parallel_from) {
    for (std::size_t c = 0; c < chunks; ++c) run(c);
  } else {
    threads.for_each_chunk(chunks, run);
  }
  double total = 0.0;
  for (std::size_t c = 0; c < chunks; ++c) total += partial[c];
  return total;
}

/// A sum of lanes: in the lane's precision over a block, in double across blocks.
template <class Lane>
class lane_sum {
 public:
  void add(Lane const& values) { recent_ = recent_ + values; }
  /// Moves what was added since the last flush into double precision.
  void flush() {
    total_ += static_cast<double>(sum(recent_));
    recent_ = Lane(0.0);
  }
  [[nodiscard]] double total() const { return total_; }

 private:
  Lane recent_ = 0.0;
  double total_ = 0.0;
};

/// A column of a batch, with the name that formulas and messages have for it.
struct named_column {
  column const* data = nullptr;
  column_set name = {};  // empty for weight, which no formula sees
  char const* label = "";
};

// The order of columns in a pair's block: those of completions in twos, chosen first.
enum pair_input : std::size_t {
  pair_policy = 0,
  pair_reference = 2,
  pair_length = 4,
  pair_score = 6,
  pair_divergence = 8,
  pair_alignment = 10,
  pair_perturbed_toward = 12,
  pair_perturbed_away = 14,
  pair_weight = 16,
  pair_beta,
  pair_target_margin,
  pair_from_reference,
  pair_uniform,
  pair_inputs
};

template <std::size_t N>
struct column_table {
  named_column at[N];
};

[[nodiscard]] inline column_table<pair_inputs> columns_of(pair_columns const& b) {
  using n = column_name;
  return {{{&b.policy.chosen, n::policy, "policy.chosen"},
           {&b.policy.rejected, n::policy, "policy.rejected"},
           {&b.reference.chosen, n::reference, "reference.chosen"},
           {&b.reference.rejected, n::reference, "reference.rejected"},
           {&b.length.chosen, n::length, "length.chosen"},
           {&b.length.rejected, n::length, "length.rejected"},
           {&b.score.chosen, n::score, "score.chosen"},
           {&b.score.rejected, n::score, "score.rejected"},
           {&b.divergence.chosen, n::divergence, "divergence.chosen"},
           {&b.divergence.rejected, n::divergence, "divergence.rejected"},
           {&b.alignment.chosen, n::alignment, "alignment.chosen"},
           {&b.alignment.rejected, n::alignment, "alignment.rejected"},
           {&b.perturbed_toward.chosen, n::perturbed, "perturbed_toward.chosen"},
           {&b.perturbed_toward.rejected, n::perturbed, "perturbed_toward.rejected"},
           {&b.perturbed_away.chosen, n::perturbed, "perturbed_away.chosen"},
           {&b.perturbed_away.rejected, n::perturbed, "perturbed_away.rejected"},
           {&b.weight, {}, "weight"},
           {&b.beta, n::beta, "beta"},
           {&b.target_margin, n::target_margin, "target_margin"},
           {&b.chosen_from_reference, n::chosen_from_reference, "chosen_from_reference"},
           {&b.uniform, n::uniform, "uniform"}}};
}

/// Pointers to the columns that a kernel gets: those that are there and that the loss reads.
template <std::size_t N>
struct input_columns {
  input_columns(column_table<N> const& table, column_set read) {
    for (std::size_t c = 0; c < N; ++c) {
      auto const& one = table.at[c];
      at[c] = one.data->present() && read.contains(one.name) ? one.data : nullptr;
    }
  }
  column const* at[N];
};

template <class Lane>
[[nodiscard]] inline Lane load_or(typename Lane::value_type const* from, std::size_t i,
                                  double otherwise) {
  return from == nullptr ? Lane(otherwise) : Lane::load(from + i);
}

template <class Lane>
[[nodiscard]] inline optional_value<Lane> load_optional(typename Lane::value_type const* from,
                                                        std::size_t i) {
  return from == nullptr ? optional_value<Lane>{}
                         : optional_value<Lane>{true, Lane::load(from + i)};
}

/// The last lane of a block may be partly padding, which must not enter the sum.
template <class Lane>
[[nodiscard]] inline Lane without_padding(Lane values, std::size_t valid) {
  if (valid >= Lane::width) return values;
  typename Lane::value_type kept[Lane::width];
  values.store(kept);
  for (std::size_t i = valid; i < Lane::width; ++i) kept[i] = 0;
  return Lane::load(kept);
}

template <class Pointer, std::size_t N>
struct kernel_pointers {
  explicit kernel_pointers(Pointer const (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i) at[i] = from[i];
  }
  [[nodiscard]] Pointer operator[](std::size_t i) const { return at[i]; }

  Pointer at[N];
};

/// A column that this loss reads, certainly or perhaps; a constant where it never does.
template <Loss L, column_name Name, class Lane>
[[nodiscard]] inline Lane load_read(typename Lane::value_type const* from, std::size_t i,
                                    double otherwise) {
  if constexpr (needs<L>.contains(Name)) {
    return Lane::load(from + i);
  } else if constexpr (may_read<L>.contains(Name)) {
    return load_or<Lane>(from, i, otherwise);
  } else {
    return Lane(otherwise);
  }
}

/// What a completion of a pair has besides its log-probability; `side` is 0 for chosen, 1 for rejected.
template <Loss L, class Lane, class S, class Pointers>
inline void load_completion(completion_record<S>& out, Pointers const& in, std::size_t side,
                            std::size_t i) {
  using n = column_name;
  out.reference_log_prob = load_read<L, n::reference, Lane>(in[pair_reference + side], i, 0.0);
  out.completion_length = load_read<L, n::length, Lane>(in[pair_length + side], i, 1.0);
  out.score = load_read<L, n::score, Lane>(in[pair_score + side], i, 0.0);
  out.alignment = load_read<L, n::alignment, Lane>(in[pair_alignment + side], i, 0.0);
  out.perturbed_toward_log_prob =
      load_read<L, n::perturbed, Lane>(in[pair_perturbed_toward + side], i, 0.0);
  out.perturbed_away_log_prob =
      load_read<L, n::perturbed, Lane>(in[pair_perturbed_away + side], i, 0.0);
}

/// Whether the divergence of a pair's completions has partial derivatives in this loss's kernel.
template <Loss L>
inline constexpr bool differentiates_divergence = needs<L>.contains(column_name::divergence);

inline constexpr std::size_t pair_outputs = 5;  // value, coefficients of log_prob and of divergence

/// One block of pairs: values, coefficients times `scale`, and the sum of values.
///
/// `Plain` is the case that matters for speed: no optional column, both coefficients wanted and no values.
/// Without the tests for them a lane of float takes a third less time.
template <class Lane, bool Plain, Loss L>
[[gnu::noinline, gnu::flatten]] double pair_block(
    L const& given_loss, loss_state<L> const& given_state,
    typename Lane::value_type const* const (&given_in)[pair_inputs],
    typename Lane::value_type* const (&given_out)[pair_outputs], std::size_t count, double scale) {
  constexpr bool diverges = differentiates_divergence<L>;
  constexpr std::size_t log_probs = margin_only<L> ? 1 : 2;
  using S = dual<Lane, log_probs + (diverges ? 2 : 0)>;
  // Copies that no store through a result pointer can change, so that nothing is read again in the loop.
  L const loss = given_loss;
  loss_state<L> const state = given_state;
  kernel_pointers<typename Lane::value_type const*, pair_inputs> const in(given_in);
  kernel_pointers<typename Lane::value_type*, pair_outputs> const out(given_out);
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    pair_record<S> record;
    record.chosen.log_prob = S::variable(Lane::load(in[pair_policy] + i), 0);
    Lane const rejected = Lane::load(in[pair_policy + 1] + i);
    if constexpr (log_probs == 2) {
      record.rejected.log_prob = S::variable(rejected, 1);
    } else {
      record.rejected.log_prob = S(rejected);  // its coefficient is minus that of chosen
    }
    load_completion<L, Lane>(record.chosen, in, 0, i);
    load_completion<L, Lane>(record.rejected, in, 1, i);
    if constexpr (diverges) {
      record.chosen.divergence = S::variable(Lane::load(in[pair_divergence] + i), log_probs);
      record.rejected.divergence =
          S::variable(Lane::load(in[pair_divergence + 1] + i), log_probs + 1);
    }
    record.chosen_from_reference = load_read<L, column_name::chosen_from_reference, Lane>(
                                       in[pair_from_reference], i, 0.0) > Lane(0.0);
    record.uniform = load_read<L, column_name::uniform, Lane>(in[pair_uniform], i, 0.0);
    if constexpr (!Plain) {
      record.pair_beta = load_optional<Lane>(in[pair_beta], i);
      record.pair_target_margin = load_optional<Lane>(in[pair_target_margin], i);
    }

    S y = apply(loss, record, state);
    if constexpr (!Plain) {
      if (in[pair_weight] != nullptr) y = y * Lane::load(in[pair_weight] + i);
      if (out[0] != nullptr) y.value.store(out[0] + i);
    }
    Lane const chosen = y.partial[0] * Lane(scale);
    Lane const other = [&] {
      if constexpr (log_probs == 2) {
        return y.partial[1] * Lane(scale);
      } else {
        return -chosen;
      }
    }();
    if (Plain || out[1] != nullptr) chosen.store(out[1] + i);
    if (Plain || out[2] != nullptr) other.store(out[2] + i);
    if constexpr (diverges) {
      for (std::size_t side = 0; side < 2; ++side) {
        if (out[3 + side] == nullptr) continue;
        (y.partial[log_probs + side] * Lane(scale)).store(out[3 + side] + i);
      }
    }
    values.add(without_padding(y.value, count - i));
  }
  values.flush();
  return values.total();
}

/// Runs `block(in, out, count) -> sum` over a batch, piece by piece.
template <class T, std::size_t Inputs, std::size_t Outputs, class Block>
[[nodiscard]] double sum_over_blocks(std::size_t n, column const* const (&inputs)[Inputs],
                                     mutable_column const* const (&targets)[Outputs],
                                     std::size_t width, executor threads, Block const& block) {
  return sum_over_chunks(n, threads, [&](std::size_t begin, std::size_t count) {
    column_block<T, Inputs> in;
    result_block<T, Outputs> out;
    double total = 0.0;
    for (std::size_t done = 0; done < count; done += block_size) {
      std::size_t const size = at_most(block_size, count - done);
      in.gather(inputs, begin + done, size, width);
      out.open(targets, begin + done, size, width);
      total += block(in.at, out.at, size);
      out.close(targets, begin + done, size);
    }
    return total;
  });
}

template <class Lane, Loss L>
[[nodiscard]] double evaluate_pairs(L const& loss, loss_state<L> const& state,
                                    pair_columns const& batch, pair_results const& results,
                                    evaluate_options const& options) {
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  input_columns<pair_inputs> const inputs(columns_of(batch), reads(loss));
  mutable_column const* const targets[pair_outputs] = {
      &results.value, &results.chosen, &results.rejected, &results.chosen_divergence,
      &results.rejected_divergence};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;

  auto block = &pair_block<Lane, false, L>;
  if constexpr (std::same_as<T, float>) {
    bool const plain = inputs.at[pair_weight] == nullptr && inputs.at[pair_beta] == nullptr &&
                       inputs.at[pair_target_margin] == nullptr && !results.value.present() &&
                       results.chosen.present() && results.rejected.present();
    if (plain) block = &pair_block<Lane, true, L>;
  }
  return sum_over_blocks<T>(n, inputs.at, targets, Lane::width, options.threads,
                            [&](auto const& in, auto const& out, std::size_t count) {
                              return block(loss, state, in, out, count, scale);
                            });
}

enum unpaired_input : std::size_t {
  unpaired_policy,
  unpaired_reference,
  unpaired_label,
  unpaired_length,
  unpaired_score,
  unpaired_weight,
  unpaired_beta,
  unpaired_inputs
};

[[nodiscard]] inline column_table<unpaired_inputs> columns_of(unpaired_columns const& b) {
  using n = column_name;
  return {{{&b.policy, n::policy, "policy"},
           {&b.reference, n::reference, "reference"},
           {&b.label, n::label, "label"},
           {&b.length, n::length, "length"},
           {&b.score, n::score, "score"},
           {&b.weight, {}, "weight"},
           {&b.beta, n::beta, "beta"}}};
}

template <class Lane, Loss L>
[[gnu::noinline, gnu::flatten]] double unpaired_block(
    L const& loss, loss_state<L> const& state,
    typename Lane::value_type const* const (&in)[unpaired_inputs],
    typename Lane::value_type* const (&out)[2], std::size_t count, double scale) {
  using S = dual<Lane, 1>;
  using n = column_name;
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    unpaired_record<S> record;
    record.log_prob = S::variable(Lane::load(in[unpaired_policy] + i), 0);
    record.reference_log_prob = load_read<L, n::reference, Lane>(in[unpaired_reference], i, 0.0);
    record.completion_length = load_read<L, n::length, Lane>(in[unpaired_length], i, 1.0);
    record.score = load_read<L, n::score, Lane>(in[unpaired_score], i, 0.0);
    record.desirable = load_read<L, n::label, Lane>(in[unpaired_label], i, 0.0) > Lane(0.0);
    record.example_beta = load_optional<Lane>(in[unpaired_beta], i);

    S y = apply(loss, record, state);
    if (in[unpaired_weight] != nullptr) y = y * Lane::load(in[unpaired_weight] + i);
    if (out[0] != nullptr) y.value.store(out[0] + i);
    if (out[1] != nullptr) (y.partial[0] * Lane(scale)).store(out[1] + i);
    values.add(without_padding(y.value, count - i));
  }
  values.flush();
  return values.total();
}

template <class Lane, Loss L>
[[nodiscard]] double evaluate_unpaired(L const& loss, loss_state<L> const& state,
                                       unpaired_columns const& batch,
                                       unpaired_results const& results,
                                       evaluate_options const& options) {
  std::size_t const n = batch.size();
  input_columns<unpaired_inputs> const inputs(columns_of(batch), reads(loss));
  mutable_column const* const targets[2] = {&results.value, &results.coefficient};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;
  return sum_over_blocks<typename Lane::value_type>(
      n, inputs.at, targets, Lane::width, options.threads,
      [&](auto const& in, auto const& out, std::size_t count) {
        return unpaired_block<Lane>(loss, state, in, out, count, scale);
      });
}

}  // namespace detail

}  // namespace prefer
