// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/group_tokens.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer::inline v0_1::detail {

/// Where the micro-batches of a batch begin: groups in order, as many as the limits of `options` let in, and at least
/// one.
class micro_batches {
 public:
  template <class P>
  void cut(P& policy, choice_batch const& batch, train_options const& options) {
    bool const by_tokens = options.micro_batch_tokens != 0;
    if (by_tokens) count_group_tokens(policy, batch, tokens_);
    std::size_t const most =
        options.micro_batch_size == 0 ? batch.size() : options.micro_batch_size;
    begin_.assign(1, 0);
    std::size_t tokens = 0;
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::size_t const own = by_tokens ? tokens_[g] : 0;
      bool const full =
          g - begin_.back() == most || (by_tokens && (own > options.micro_batch_tokens ||
                                                      tokens > options.micro_batch_tokens - own));
      if (full && g != begin_.back()) {
        begin_.push_back(g);
        tokens = 0;
      }
      tokens += own;
    }
    if (batch.size() != 0) begin_.push_back(batch.size());
  }

  [[nodiscard]] std::size_t size() const { return begin_.size() - 1; }
  [[nodiscard]] std::size_t begin(std::size_t i) const { return begin_[i]; }
  [[nodiscard]] std::size_t count(std::size_t i) const { return begin_[i + 1] - begin_[i]; }

 private:
  std::vector<std::size_t> begin_ = {0};  // and the end
  std::vector<std::size_t> tokens_;       // per group
};

/// Stands for a callback that was not given.
struct no_callback {
  void operator()(auto const&) const {}
};

/// What a callback says: false interrupts, anything else does not.
template <class Callback, class Report>
[[nodiscard]] bool goes_on(Callback& callback, Report const& report) {
  if constexpr (std::convertible_to<decltype(callback(report)), bool>) {
    return static_cast<bool>(callback(report));
  } else {
    callback(report);
    return true;
  }
}

/// Goes through micro-batches, once or more, and tells `on_part` after each how far it is.
template <class OnPart>
class passage {
 public:
  passage(micro_batches const& parts, OnPart& on_part, std::uint64_t step)
      : parts_(parts), on_part_(on_part), report_{.step = step} {}

  /// How many groups will be passed.
  void announce(std::size_t groups) { report_.of = groups; }

  /// work(begin, count) for each micro-batch, unless `on_part` interrupts.
  void operator()(auto&& work) {
    for (std::size_t i = 0; i < parts_.size() && !interrupted_; ++i) {
      work(parts_.begin(i), parts_.count(i));
      report_.done += parts_.count(i);
      interrupted_ = !goes_on(on_part_, std::as_const(report_));
    }
  }

  /// Whether nobody has interrupted: if one process is, all are.
  [[nodiscard]] bool uninterrupted(Communicator auto const& processes) const {
    if constexpr (std::same_as<std::remove_cv_t<OnPart>, no_callback>) return true;
    double interruptions[] = {interrupted_ ? 1.0 : 0.0};
    processes.all_sum(std::span<double>(interruptions));
    return interruptions[0] == 0.0;
  }

 private:
  micro_batches const& parts_;
  OnPart& on_part_;
  part_report report_;
  bool interrupted_ = false;
};

}  // namespace prefer::inline v0_1::detail
