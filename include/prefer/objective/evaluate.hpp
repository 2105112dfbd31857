// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/dual.hpp>

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
  mutable_column value = {};     ///< per pair, weight included [B]
  mutable_column chosen = {};    ///< d loss / d log_prob of the chosen completion [B]
  mutable_column rejected = {};  ///< d loss / d log_prob of the rejected completion [B]
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

/// What is wrong with the batch for this loss, as a sentence; nothing for a good one.
template <Loss L, class Columns>
void check_columns(L const& loss, Columns const& columns, char const* function) {
  column_set const read = reads(loss);
  column_set const available = columns.available();
  if (!available.contains(read - optional_columns)) {
    broken(std::string(function) + ": this loss reads " + to_string(read - optional_columns) +
           "; the batch lacks " + to_string((read - optional_columns) - available));
  }
  column_set const ignored = column_set(available.bits & optional_columns.bits) - read;
  if (!ignored.empty()) {
    broken(std::string(function) +
           ": the batch has a column that this loss would ignore: " + to_string(ignored));
  }
}

/// A column of pairs that is there for one side only is a slip, not an absent column.
inline void check_sides(completions const& both, char const* name) {
  if (both.chosen.present() != both.rejected.present()) {
    broken(std::string("evaluate: ") + name + " is given for " +
           (both.chosen.present() ? "chosen" : "rejected") +
           " completions only; expected both or neither");
  }
}

inline void check_size(column const& c, std::size_t expected, char const* function,
                       char const* name) {
  if (c.present()) expects_size(c.size(), expected, function, name);
}
inline void check_size(mutable_column const& c, std::size_t expected, char const* function,
                       char const* name) {
  if (c.present()) expects_size(c.size(), expected, function, name);
}

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

// The order of columns in a pair's block.
enum pair_input : std::size_t {
  policy_chosen,
  policy_rejected,
  reference_chosen,
  reference_rejected,
  length_chosen,
  length_rejected,
  pair_weight,
  pair_beta,
  pair_target_margin,
  pair_inputs
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

/// One block of pairs: values, coefficients times `scale`, and the sum of values.
///
/// `Plain` is the case that matters for speed: no optional column, both coefficients wanted and no values.
/// Without the tests for them a lane of float takes a third less time.
template <class Lane, bool Plain, Loss L>
[[gnu::noinline]] double pair_block(L const& given_loss, loss_state<L> const& given_state,
                                    typename Lane::value_type const* const (&given_in)[pair_inputs],
                                    typename Lane::value_type* const (&given_out)[3],
                                    std::size_t count, double scale) {
  constexpr std::size_t partials = margin_only<L> ? 1 : 2;
  using S = dual<Lane, partials>;
  // Copies that no store through a result pointer can change, so that nothing is read again in the loop.
  L const loss = given_loss;
  loss_state<L> const state = given_state;
  kernel_pointers<typename Lane::value_type const*, pair_inputs> const in(given_in);
  kernel_pointers<typename Lane::value_type*, 3> const out(given_out);
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    pair_record<S> record;
    record.chosen.log_prob = S::variable(Lane::load(in[policy_chosen] + i), 0);
    Lane const rejected = Lane::load(in[policy_rejected] + i);
    if constexpr (partials == 2) {
      record.rejected.log_prob = S::variable(rejected, 1);
    } else {
      record.rejected.log_prob = S(rejected);  // its coefficient is minus that of chosen
    }
    if constexpr (needs<L>.contains(column_name::reference)) {
      record.chosen.reference_log_prob = Lane::load(in[reference_chosen] + i);
      record.rejected.reference_log_prob = Lane::load(in[reference_rejected] + i);
    } else {
      record.chosen.reference_log_prob = load_or<Lane>(in[reference_chosen], i, 0.0);
      record.rejected.reference_log_prob = load_or<Lane>(in[reference_rejected], i, 0.0);
    }
    record.chosen.completion_length = load_or<Lane>(in[length_chosen], i, 1.0);
    record.rejected.completion_length = load_or<Lane>(in[length_rejected], i, 1.0);
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
      if constexpr (partials == 2) {
        return y.partial[1] * Lane(scale);
      } else {
        return -chosen;
      }
    }();
    if (Plain || out[1] != nullptr) chosen.store(out[1] + i);
    if (Plain || out[2] != nullptr) other.store(out[2] + i);
    values.add(without_padding(y.value, count - i));
  }
  values.flush();
  return values.total();
}

template <class Lane, Loss L>
[[nodiscard]] double evaluate_pairs(L const& loss, loss_state<L> const& state,
                                    pair_columns const& batch, pair_results const& results,
                                    evaluate_options const& options) {
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  column_set const read = reads(loss);
  auto const used = [&](column const& c, column_name name) {
    return read.contains(name) && c.present() ? &c : nullptr;
  };
  column const* const inputs[pair_inputs] = {&batch.policy.chosen,
                                             &batch.policy.rejected,
                                             used(batch.reference.chosen, column_name::reference),
                                             used(batch.reference.rejected, column_name::reference),
                                             used(batch.length.chosen, column_name::length),
                                             used(batch.length.rejected, column_name::length),
                                             batch.weight.present() ? &batch.weight : nullptr,
                                             used(batch.beta, column_name::beta),
                                             used(batch.target_margin, column_name::target_margin)};
  mutable_column const* const targets[3] = {&results.value, &results.chosen, &results.rejected};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;

  auto block = &pair_block<Lane, false, L>;
  if constexpr (std::same_as<T, float>) {
    bool const plain = inputs[pair_weight] == nullptr && inputs[pair_beta] == nullptr &&
                       inputs[pair_target_margin] == nullptr && !results.value.present() &&
                       results.chosen.present() && results.rejected.present();
    if (plain) block = &pair_block<Lane, true, L>;
  }
  return sum_over_chunks(n, options.threads, [&](std::size_t begin, std::size_t count) {
    column_block<T, pair_inputs> in;
    result_block<T, 3> out;
    double total = 0.0;
    for (std::size_t done = 0; done < count; done += block_size) {
      std::size_t const size = at_most(block_size, count - done);
      in.gather(inputs, begin + done, size, Lane::width);
      out.open(targets, begin + done, size, Lane::width);
      total += block(loss, state, in.at, out.at, size, scale);
      out.close(targets, begin + done, size);
    }
    return total;
  });
}

enum unpaired_input : std::size_t {
  unpaired_policy,
  unpaired_reference,
  unpaired_label,
  unpaired_length,
  unpaired_weight,
  unpaired_beta,
  unpaired_inputs
};

template <class Lane, Loss L>
[[gnu::noinline]] double unpaired_block(
    L const& loss, loss_state<L> const& state,
    typename Lane::value_type const* const (&in)[unpaired_inputs],
    typename Lane::value_type* const (&out)[2], std::size_t count, double scale) {
  using S = dual<Lane, 1>;
  lane_sum<Lane> values;
  for (std::size_t i = 0; i < count; i += Lane::width) {
    unpaired_record<S> record;
    record.log_prob = S::variable(Lane::load(in[unpaired_policy] + i), 0);
    record.reference_log_prob = load_or<Lane>(in[unpaired_reference], i, 0.0);
    record.completion_length = load_or<Lane>(in[unpaired_length], i, 1.0);
    record.desirable = load_or<Lane>(in[unpaired_label], i, 0.0) > Lane(0.0);
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
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  column_set const read = reads(loss);
  auto const used = [&](column const& c, column_name name) {
    return read.contains(name) && c.present() ? &c : nullptr;
  };
  column const* const inputs[unpaired_inputs] = {&batch.policy,
                                                 used(batch.reference, column_name::reference),
                                                 used(batch.label, column_name::label),
                                                 used(batch.length, column_name::length),
                                                 batch.weight.present() ? &batch.weight : nullptr,
                                                 used(batch.beta, column_name::beta)};
  mutable_column const* const targets[2] = {&results.value, &results.coefficient};
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;

  return sum_over_chunks(n, options.threads, [&](std::size_t begin, std::size_t count) {
    column_block<T, unpaired_inputs> in;
    result_block<T, 2> out;
    double total = 0.0;
    for (std::size_t done = 0; done < count; done += block_size) {
      std::size_t const size = at_most(block_size, count - done);
      in.gather(inputs, begin + done, size, Lane::width);
      out.open(targets, begin + done, size, Lane::width);
      total += unpaired_block<Lane>(loss, state, in.at, out.at, size, scale);
      out.close(targets, begin + done, size);
    }
    return total;
  });
}

/// Completion i of a list, as constants or with the partials [first, first + N) seeded.
template <class S>
struct list_at {
  list_columns const* batch;
  std::size_t begin;
  std::size_t first_partial;

  completion_record<S> operator()(std::size_t i) const {
    completion_record<S> out;
    double const log_prob = batch->policy[begin + i];
    if constexpr (requires { S::variable(log_prob, i); }) {
      constexpr std::size_t partials = sizeof(S) / sizeof(double) - 1;
      bool const seeded = i >= first_partial && i < first_partial + partials;
      out.log_prob = seeded ? S::variable(log_prob, i - first_partial) : S(log_prob);
    } else {
      out.log_prob = log_prob;
    }
    if (batch->reference.present()) out.reference_log_prob = batch->reference[begin + i];
    if (batch->length.present()) out.completion_length = batch->length[begin + i];
    return out;
  }
};

template <class S>
[[nodiscard]] inline list_record<S, list_at<S>> list_of(list_columns const& batch, std::size_t g,
                                                        std::size_t first_partial) {
  std::size_t const begin = batch.offset[g];
  optional_value<double> beta;
  if (batch.beta.present()) beta = {true, batch.beta[g]};
  return {batch.offset[g + 1] - begin, list_at<S>{&batch, begin, first_partial}, beta};
}

/// One list: its loss, and d loss / d log_prob into `out`: by the loss's own rule where it has one, else
/// by dual numbers, four partials a pass.
template <Loss L>
[[nodiscard]] double evaluate_list(L const& loss, loss_state<L> const& state,
                                   list_columns const& batch, std::size_t g,
                                   std::span<double> out) {
  auto const plain = list_of<double>(batch, g, 0);
  if constexpr (requires {
                  { loss.coefficients(plain, out) } -> std::same_as<double>;
                }) {
    return loss.coefficients(plain, out);
  } else {
    constexpr std::size_t partials = 4;
    using S = dual<double, partials>;
    double value = 0.0;
    for (std::size_t first = 0; first < out.size(); first += partials) {
      S const y = apply(loss, list_of<S>(batch, g, first), state);
      value = y.value;
      for (std::size_t p = 0; p < partials && first + p < out.size(); ++p) {
        out[first + p] = y.partial[p];
      }
    }
    return value;
  }
}

inline void check_lists(list_columns const& batch) {
  std::size_t const n = batch.policy.size();
  if (batch.offset.empty() || batch.offset.front() != 0 || batch.offset.back() != n) {
    broken("evaluate: offset must run from 0 to the number of completions, " + std::to_string(n));
  }
  for (std::size_t g = 0; g + 1 < batch.offset.size(); ++g) {
    if (batch.offset[g + 1] <= batch.offset[g]) {
      broken("evaluate: list " + std::to_string(g) + " is empty or its offset descends");
    }
  }
}

template <class Columns>
inline constexpr bool is_promise = requires {
  Columns::promised;
};

template <class Columns>
concept known_columns = is_promise<Columns> || std::same_as<Columns, unpaired_columns> ||
    std::same_as<Columns, pair_columns> || std::same_as<Columns, list_columns>;

/// One sentence where loss and columns are of different kinds; true where they may go together.
template <Loss L, class Columns>
consteval bool same_kind() {
  if constexpr (known_columns<Columns> && !is_promise<Columns>) {
    constexpr bool fits = std::same_as<Columns, unpaired_columns> ? L::arity == 1
                          : std::same_as<Columns, pair_columns>   ? L::arity == 2
                                                                  : L::arity == dynamic_arity;
    static_assert(fits || L::arity != 1,
                  "prefer: a loss over labelled completions is evaluated on unpaired_columns");
    static_assert(fits || L::arity != 2, "prefer: a loss over pairs is evaluated on pair_columns");
    static_assert(fits || L::arity != dynamic_arity,
                  "prefer: a loss over lists is evaluated on list_columns");
    return fits;
  } else {
    return true;
  }
}

template <Loss L, class Columns>
constexpr void promise_kept() {
  if constexpr (requires { Columns::promised; }) {
    static_assert(
        Columns::promised.contains(needs<L>),
        "prefer: this loss reads a column that the batch does not promise (with_columns)");
  }
}

template <PairLoss L>
void check_batch(L const& loss, pair_columns const& batch, pair_results const& results) {
  std::size_t const n = batch.size();
  check_sides(batch.policy, "policy");
  check_sides(batch.reference, "reference");
  check_sides(batch.length, "length");
  check_columns(loss, batch, "evaluate");
  expects(n > 0, "evaluate: the batch is empty");
  check_size(batch.policy.rejected, n, "evaluate", "policy.rejected");
  check_size(batch.reference.chosen, n, "evaluate", "reference.chosen");
  check_size(batch.reference.rejected, n, "evaluate", "reference.rejected");
  check_size(batch.length.chosen, n, "evaluate", "length.chosen");
  check_size(batch.length.rejected, n, "evaluate", "length.rejected");
  check_size(batch.weight, n, "evaluate", "weight");
  check_size(batch.beta, n, "evaluate", "beta");
  check_size(batch.target_margin, n, "evaluate", "target_margin");
  check_size(results.value, n, "evaluate", "results.value");
  check_size(results.chosen, n, "evaluate", "results.chosen");
  check_size(results.rejected, n, "evaluate", "results.rejected");
}

template <UnpairedLoss L>
void check_batch(L const& loss, unpaired_columns const& batch, unpaired_results const& results) {
  std::size_t const n = batch.size();
  check_columns(loss, batch, "evaluate");
  expects(n > 0, "evaluate: the batch is empty");
  check_size(batch.reference, n, "evaluate", "reference");
  check_size(batch.label, n, "evaluate", "label");
  check_size(batch.length, n, "evaluate", "length");
  check_size(batch.weight, n, "evaluate", "weight");
  check_size(batch.beta, n, "evaluate", "beta");
  check_size(results.value, n, "evaluate", "results.value");
  check_size(results.coefficient, n, "evaluate", "results.coefficient");
}

/// float is enough where every log-probability is stored as float.
[[nodiscard]] inline bool all_float(column const& a, column const& b) {
  return a.stored_as() == storage::float32 && (!b.present() || b.stored_as() == storage::float32);
}

}  // namespace detail

/// Value and coefficients of a pair loss over a batch, written where `results` says; returns the mean loss.
///
///   mean loss = 1/B * sum over pairs of weight_i * loss_i
///   coefficient_i = d (mean loss) / d log_prob_i, or of loss_i alone with reduction::none
///
/// Computed in float where all policy and reference columns are float, else in double. Nothing is allocated.
/// Errors  precondition_error for sizes that disagree, a column that is read but absent, or present but ignored
template <PairLoss L>
double evaluate_into(L const& loss, pair_columns const& batch, pair_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  bool const in_float = detail::all_float(batch.policy.chosen, batch.reference.chosen) &&
                        detail::all_float(batch.policy.rejected, batch.reference.rejected);
  double const total =
      in_float ? detail::evaluate_pairs<lane<float>>(loss, state, batch, results, options)
               : detail::evaluate_pairs<lane<double>>(loss, state, batch, results, options);
  return total / static_cast<double>(batch.size());
}

/// The same for a loss over labelled completions.
template <UnpairedLoss L>
double evaluate_into(L const& loss, unpaired_columns const& batch, unpaired_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  double const total =
      detail::all_float(batch.policy, batch.reference)
          ? detail::evaluate_unpaired<lane<float>>(loss, state, batch, results, options)
          : detail::evaluate_unpaired<lane<double>>(loss, state, batch, results, options);
  return total / static_cast<double>(batch.size());
}

/// The same for a loss over lists; the mean is over lists. Computed in double.
template <ListLoss L>
double evaluate_into(L const& loss, list_columns const& batch, list_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  std::size_t const lists = batch.size();
  std::size_t const n = batch.policy.size();
  detail::check_columns(loss, batch, "evaluate");
  expects(lists > 0, "evaluate: the batch is empty");
  detail::check_lists(batch);
  detail::check_size(batch.reference, n, "evaluate", "reference");
  detail::check_size(batch.length, n, "evaluate", "length");
  detail::check_size(batch.weight, lists, "evaluate", "weight");
  detail::check_size(batch.beta, lists, "evaluate", "beta");
  detail::check_size(results.value, lists, "evaluate", "results.value");
  detail::check_size(results.coefficient, n, "evaluate", "results.coefficient");
  std::size_t longest = 0;
  for (std::size_t g = 0; g < lists; ++g) {
    std::size_t const length = batch.offset[g + 1] - batch.offset[g];
    if (length > longest) longest = length;
  }
  double const scale = options.reduce == reduction::mean ? 1.0 / static_cast<double>(lists) : 1.0;
  double const total =
      detail::sum_over_chunks(lists, options.threads, [&](std::size_t begin, std::size_t count) {
        double room[64];  // lists are short; longer ones cost an allocation per chunk
        std::vector<double> long_room(longest > 64 ? longest : 0);
        double* const coefficient = longest > 64 ? long_room.data() : room;
        double sum = 0.0;
        for (std::size_t g = begin; g < begin + count; ++g) {
          std::size_t const length = batch.offset[g + 1] - batch.offset[g];
          double const weight = batch.weight.present() ? batch.weight[g] : 1.0;
          double const value =
              weight * detail::evaluate_list(loss, state, batch, g, {coefficient, length});
          for (std::size_t i = 0; i < length; ++i) coefficient[i] *= weight * scale;
          if (results.value.present()) results.value.assign(g, 1, &value);
          if (results.coefficient.present()) {
            results.coefficient.assign(batch.offset[g], length, coefficient);
          }
          sum += value;
        }
        return sum;
      });
  return total / static_cast<double>(lists);
}

/// The same, preparing the loss's batch statistics on the way; for losses that remember nothing.
template <Loss L, class Columns, class Results>
requires std::same_as<loss_memory<L>, nothing>
double evaluate_into(L const& loss, Columns const& batch, Results const& results,
                     evaluate_options const& options = {}) {
  if constexpr (detail::is_promise<Columns>) {
    detail::promise_kept<L, Columns>();
    return evaluate_into(loss, batch.columns(), results, options);
  } else if constexpr (detail::same_kind<L, Columns>()) {
    nothing memory;
    return evaluate_into(loss, batch, results, prepare(loss, batch, memory), options);
  }
}

/// The same on lanes of the caller's choice, such as another library's packets, whatever the columns store.
///
///   evaluate_on<eigen_lane<double, 16>>(dpo{}, batch, results);
///
/// Lane    a Scalar with `value_type`, `width` (a power of two, at most 256), `load`, `store` and `sum`
template <class Lane, PairLoss L>
requires std::same_as<loss_memory<L>, nothing>
double evaluate_on(L const& loss, pair_columns const& batch, pair_results const& results,
                   evaluate_options const& options = {}) {
  static_assert(detail::block_size % Lane::width == 0, "prefer: a lane's width divides 256");
  detail::check_batch(loss, batch, results);
  nothing memory;
  return detail::evaluate_pairs<Lane>(loss, prepare(loss, batch, memory), batch, results, options) /
         static_cast<double>(batch.size());
}
template <class Lane, UnpairedLoss L>
requires std::same_as<loss_memory<L>, nothing>
double evaluate_on(L const& loss, unpaired_columns const& batch, unpaired_results const& results,
                   evaluate_options const& options = {}) {
  static_assert(detail::block_size % Lane::width == 0, "prefer: a lane's width divides 256");
  detail::check_batch(loss, batch, results);
  nothing memory;
  return detail::evaluate_unpaired<Lane>(loss, prepare(loss, batch, memory), batch, results,
                                         options) /
         static_cast<double>(batch.size());
}

/// What a pair loss says of a batch.
struct pair_evaluation {
  double loss = 0.0;          ///< mean over pairs
  std::vector<double> value;  ///< per pair, weight included [B]
  struct {
    std::vector<double> chosen;
    std::vector<double> rejected;
  } coefficient;  ///< d loss / d log_prob [B]
};

/// What a loss over labelled completions or lists says of a batch.
struct evaluation {
  double loss = 0.0;                ///< mean over examples or lists
  std::vector<double> value;        ///< per example or list, weight included
  std::vector<double> coefficient;  ///< d loss / d log_prob, per completion
};

namespace detail {

template <Loss L>
pair_evaluation evaluate_columns(L const& loss, pair_columns const& batch,
                                 loss_state<L> const& state, evaluate_options const& options) {
  pair_evaluation out;
  out.value.resize(batch.size());
  out.coefficient.chosen.resize(batch.size());
  out.coefficient.rejected.resize(batch.size());
  out.loss = evaluate_into(
      loss, batch,
      {.value = out.value, .chosen = out.coefficient.chosen, .rejected = out.coefficient.rejected},
      state, options);
  return out;
}
template <Loss L, class Columns>
evaluation evaluate_columns(L const& loss, Columns const& batch, loss_state<L> const& state,
                            evaluate_options const& options) {
  evaluation out;
  out.value.resize(batch.size());
  out.coefficient.resize(batch.policy.size());
  out.loss = evaluate_into(loss, batch, {.value = out.value, .coefficient = out.coefficient}, state,
                           options);
  return out;
}

}  // namespace detail

/// Value and coefficients of a loss over a batch, in vectors of double.
///
///   auto const result = prefer::evaluate(prefer::dpo{.beta = 0.1}, prefer::pair_columns{
///       .policy    = {.chosen = policy_chosen,    .rejected = policy_rejected},
///       .reference = {.chosen = reference_chosen, .rejected = reference_rejected}});
///
/// A loss that remembers (a running mean) updates `memory`. Formulas and errors as for evaluate_into.
template <Loss L, class Columns>
[[nodiscard]] auto evaluate(L const& loss, Columns const& batch, loss_memory<L>& memory,
                            evaluate_options const& options = {}) {
  if constexpr (detail::is_promise<Columns>) {
    detail::promise_kept<L, Columns>();
    return evaluate(loss, batch.columns(), memory, options);
  } else if constexpr (detail::same_kind<L, Columns>()) {
    return detail::evaluate_columns(loss, batch, prepare(loss, batch, memory), options);
  }
}

template <Loss L, class Columns>
requires std::same_as<loss_memory<L>, nothing>
[[nodiscard]] auto evaluate(L const& loss, Columns const& batch,
                            evaluate_options const& options = {}) {
  nothing memory;
  return evaluate(loss, batch, memory, options);
}

/// What is no loss is told why in one sentence.
template <class L, detail::known_columns Columns, class... More>
requires(!Loss<L>) pair_evaluation evaluate(L const&, Columns const&, More&&...) {
  static_assert(check::loss<L>());
  return {};
}
template <class L, detail::known_columns Columns, class... More>
requires(!Loss<L>) double evaluate_into(L const&, Columns const&, More&&...) {
  static_assert(check::loss<L>());
  return 0.0;
}

}  // namespace prefer
