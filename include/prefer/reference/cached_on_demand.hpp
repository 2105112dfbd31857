// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/reference/reference_wrapper.hpp>

namespace prefer::inline v0_1 {

/// A reference that remembers what it has said of each row, until it moves.
///
///   prefer::cached_on_demand reference(
///       prefer::moving_average(policy, prefer::tr_dpo{.alpha = 1.0, .every = 512}), data);
///
/// A row is computed when a batch first asks for it and looked up from then on; when the wrapped reference
/// moves, all rows are forgotten. For TR-DPO and BEMA, whose updates lie many steps apart: it pays where that
/// is longer than an epoch, because an epoch asks for every row once. Batches must carry row numbers, which the
/// trainer's do. The numbers are those of the wrapped reference provided that a row's do not depend on the
/// other rows of its batch. A checkpoint holds the wrapped reference and no numbers.
///
/// Errors  precondition_error for a batch without rows, or with completions that are not those of the data;
///         a reference that moves after every step does not compile
/// TRL     refuses sync_ref_model with precompute_ref_log_probs, which would be computed once and go stale
template <class R>
  requires Reference<R, choice_batch>
class cached_on_demand : public reference_wrapper<R> {
  using base = reference_wrapper<R>;
  using base::reference_;

 public:
  using value_type = typename R::value_type;

  cached_on_demand(R reference, choice_data const& data) : base(std::move(reference)) {
    static_assert(!DependsOnDraw<R>,
                  "prefer: this reference draws anew in each step, so its numbers cannot be "
                  "cached; use it without a cache");
    static_assert(
        !requires { requires R::moves_every_step; },
        "prefer: this reference moves after every step, so no number of it is ever asked for "
        "twice; use it without a cache");
    static_assert(
        !MovingReference<R> ||
            requires(R const& r) {
              { r.version() } -> std::convertible_to<std::uint64_t>;
            },
        "prefer: a moving reference that is cached on demand has version(), which grows when it "
        "moves");
    data.expects_shapes("cached_on_demand");
    offset_.assign(data.offset.begin(), data.offset.end());
    kl_rows_ = data.kl_examples.size();
  }

  void log_prob(choice_batch const& batch, std::span<value_type> out) {
    look_up(batch, out, batch.kl_examples ? kl_examples_ : log_prob_,
            [this](auto const& b, auto to) { reference_.log_prob(b, to); });
  }
  void logit(choice_batch const& batch, std::span<value_type> out)
    requires requires(R& r) { r.logit(batch, out); }
  {
    look_up(batch, out, batch.kl_examples ? kl_logit_ : logit_,
            [this](auto const& b, auto to) { reference_.logit(b, to); });
  }

  // Its identity is the wrapped reference's: a cache changes no result, so a run may be resumed with or without one.

  [[nodiscard]] std::uint64_t version() const { return version_of_reference(); }

  /// How many rows have been computed so far, of all that were asked for.
  [[nodiscard]] std::uint64_t computed() const { return computed_; }
  [[nodiscard]] std::uint64_t asked() const { return asked_; }

 private:
  // The numbers of every row, and the version of the reference that each was computed with; 0: never.
  struct numbers {
    std::vector<value_type> value;
    std::vector<std::uint64_t> known_since;
  };

  [[nodiscard]] std::uint64_t version_of_reference() const {
    if constexpr (requires { reference_.version(); }) {
      return reference_.version();
    } else {
      return 0;
    }
  }

  void look_up(choice_batch const& batch, std::span<value_type> out, numbers& known,
               auto const& ask) {
    expects_size(out.size(), batch.completions(), "cached_on_demand::log_prob", "out");
    if (batch.row.size() != batch.size()) {
      detail::broken("cached_on_demand::log_prob: the batch has no row numbers to look up");
    }
    expects(!batch.drawn,
            "cached_on_demand::log_prob: the batch was written in this step, and is no part of a "
            "data set");
    for (std::size_t g = 0; g < batch.size(); ++g) expect_row(batch, g);
    known.value.resize(batch.kl_examples ? kl_rows_ : offset_.back());
    known.known_since.resize(offset_.size() - 1);

    std::uint64_t const now = version_of_reference() + 1;
    missing_prompt_.clear();
    missing_completion_.clear();
    missing_row_.clear();
    missing_offset_.assign(1, 0);
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::size_t const row = batch.row[g];
      if (known.known_since[row] == now) continue;
      known.known_since[row] = now;  // so that a row that occurs twice is computed once
      missing_prompt_.push_back(batch.prompt[g]);
      missing_row_.push_back(row);
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        missing_completion_.push_back(batch.completion[i]);
      }
      missing_offset_.push_back(missing_completion_.size());
    }
    asked_ += batch.size();
    if (!missing_row_.empty()) compute(batch, known, ask);

    std::size_t at = 0;
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::size_t const first = batch.kl_examples ? batch.row[g] : offset_[batch.row[g]];
      std::size_t const count = batch.offset[g + 1] - batch.offset[g];
      for (std::size_t k = 0; k < count; ++k) out[at++] = known.value[first + k];
    }
  }

  void compute(choice_batch const& batch, numbers& known, auto const& ask) {
    answer_.resize(missing_completion_.size());
    // Until the answer is there nothing is known: the reference may throw.
    for (std::size_t const row : missing_row_) known.known_since[row] = 0;
    ask(choice_batch{.prompt = missing_prompt_,
                     .completion = missing_completion_,
                     .offset = missing_offset_,
                     .row = missing_row_,
                     .kl_examples = batch.kl_examples,
                     .draw = batch.draw},
        std::span<value_type>(answer_));
    for (std::size_t m = 0; m < missing_row_.size(); ++m) {
      std::size_t const row = missing_row_[m];
      std::size_t const first = batch.kl_examples ? row : offset_[row];
      for (std::size_t k = missing_offset_[m]; k < missing_offset_[m + 1]; ++k) {
        known.value[first + k - missing_offset_[m]] = answer_[k];
      }
      known.known_since[row] = version_of_reference() + 1;
    }
    computed_ += missing_row_.size();
  }

  void expect_row(choice_batch const& batch, std::size_t g) const {
    std::size_t const row = batch.row[g];
    std::size_t const count = batch.offset[g + 1] - batch.offset[g];
    bool const there = batch.kl_examples
                           ? row < kl_rows_ && count == 1
                           : row + 1 < offset_.size() && offset_[row + 1] - offset_[row] == count;
    if (there) return;
    detail::broken("cached_on_demand::log_prob: row " + std::to_string(row) + " with " +
                   std::to_string(count) + " completions is not in the data");
  }

  std::vector<std::size_t> offset_;
  std::size_t kl_rows_ = 0;
  numbers log_prob_;
  numbers logit_;
  numbers kl_examples_;
  numbers kl_logit_;
  std::uint64_t computed_ = 0;
  std::uint64_t asked_ = 0;

  // Working memory, kept from batch to batch.
  std::vector<std::uint32_t> missing_prompt_;
  std::vector<std::uint32_t> missing_completion_;
  std::vector<std::size_t> missing_row_;
  std::vector<std::size_t> missing_offset_;
  std::vector<value_type> answer_;
};

}  // namespace prefer::inline v0_1
