// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/random/order.hpp>

namespace prefer::inline v0_1 {

/// Which part of a batch a process has: of `count` examples those in [begin(count), end(count)). Parts follow one
/// another in order of rank, and their sizes differ by 1 at most.
struct batch_part {
  std::size_t rank = 0;
  std::size_t size = 1;

  [[nodiscard]] constexpr std::size_t begin(std::size_t count) const {
    // As count * rank / size, but without the product, which may not fit.
    return count / size * rank + count % size * rank / size;
  }
  [[nodiscard]] constexpr std::size_t end(std::size_t count) const {
    return batch_part{.rank = rank + 1, .size = size}.begin(count);
  }
  /// The elements of `whole` that are in this part.
  template <class T>
  [[nodiscard]] constexpr std::span<T> of(std::span<T> whole) const {
    return whole.subspan(begin(whole.size()), end(whole.size()) - begin(whole.size()));
  }
};

namespace detail {

template <class S>
concept gathers_examples = requires(S& source, std::uint64_t step, batch_part const& part,
                                    choice_minibatch& out) { source.gather(step, part, out); };

template <class S>
concept counts_its_steps = requires(S const& source) {
  { source.steps_per_epoch() } -> std::convertible_to<std::uint64_t>;
};

template <class S>
concept has_identity = requires(S const& source) {
  { source.identity() } -> std::convertible_to<std::uint64_t>;
};

// All examples are known from the beginning, or may be.
template <class S>
concept has_data = requires(S const& source) {
  { source.data() } -> std::convertible_to<choice_data const&>;
};
template <class S>
concept may_have_data = requires(S const& source) {
  { source.data() } -> std::convertible_to<choice_data const*>;
};

struct nothing_saved {};
template <class S>
concept has_state = requires(S& source, archive_writer& to, archive const& from) {
  source.save(to);
  source.resume(source.state_in(from));
};

/// Room for what a source reads from a checkpoint.
template <class S>
[[nodiscard]] auto saved_state_of([[maybe_unused]] S& source) {
  if constexpr (has_state<S>) {
    return decltype(source.state_in(std::declval<archive const&>())){};
  } else {
    return nothing_saved{};
  }
}

/// Puts the part of a step's batch that a process has into `out`.
template <class S>
void gather_part(S& source, std::uint64_t step, choice_minibatch& out, auto const& all) {
  batch_part const part{.rank = all.rank(), .size = all.size()};
  if constexpr (requires { source.gather(step, part, out, all); }) {
    source.gather(step, part, out, all);
  } else {
    source.gather(step, part, out);
  }
}

/// The examples of all steps; null where they are not known.
template <class S>
[[nodiscard]] choice_data const* data_of([[maybe_unused]] S const& source) {
  if constexpr (has_data<S>) {
    return &source.data();
  } else if constexpr (may_have_data<S>) {
    return source.data();
  } else {
    return nullptr;
  }
}

}  // namespace detail

/// Where a trainer gets its batches from.
///
/// Asked for   `gather(step, part, out)`, which puts this process's part of the batch of a step, counted from 0, into
///             `out`; `steps_per_epoch()`, after how many steps all there is was seen once, at least 1; `identity()`,
///             equal for sources that give equal batches, which a checkpoint must agree with: of what examples are not known
///             before it is asked for when the trainer is made
/// Semantics   a batch depends on the step, and on the policy as it is at that step where the policy writes it, but not
///             on which steps were asked for before, nor on how many processes share it: so a run continues from the
///             number of its step. What is random has an address that names the step
/// Optional    `data()`, the choice_data of all steps, or a pointer to it or to none: it is then checked once, before
///             training, and each batch is not
///             `gather(step, part, out, all)`, which is called in place of the other where it is there: `all` is the
///             Communicator of the processes that share the batch, which may exchange what each has written
///             `after_step(step, all)`, called when optimizer step `step`, counted from 1, is done
///             `save(archive_writer&)`, `state_in(archive const&)` and `resume(state)`, which takes what state_in gave:
///             what a checkpoint holds of a source whose batches depend on more than the step and the policy at it
template <class S>
concept ExampleSource =
    detail::gathers_examples<S> && detail::counts_its_steps<S> && detail::has_identity<S>;

/// The rows of a data set, each once in every epoch, in an order drawn anew for each.
///
/// The data is borrowed, outlives the source and does not change meanwhile. The last batch of an epoch has what is left.
///
/// Errors  precondition_error for a batch size of 0
template <class = on_demand>
class basic_shuffled {
 public:
  basic_shuffled(choice_data const& data, std::size_t batch_size, std::uint64_t seed)
      : data_(&data), batch_size_(batch_size), seed_(seed) {
    expects(batch_size > 0, "shuffled: batch_size must be at least 1");
  }
  // clang-format off
  basic_shuffled(choice_data const&&, std::size_t, std::uint64_t) = delete;  // prefer: the data outlives the source; give it a name
  // clang-format on

  [[nodiscard]] choice_data const& data() const { return *data_; }
  [[nodiscard]] std::uint64_t steps_per_epoch() const {
    return data_->size() / batch_size_ + (data_->size() % batch_size_ != 0 ? 1 : 0);
  }
  /// Of the data. Batch size and seed say which rows come when, and are part of what a trainer's run is.
  [[nodiscard]] std::uint64_t identity() const { return fingerprint_of(*data_); }

  void gather(std::uint64_t step, batch_part const& part, choice_minibatch& out) {
    std::uint64_t const epoch = step / steps_per_epoch();
    auto const begin = static_cast<std::size_t>(step % steps_per_epoch()) * batch_size_;
    if (order_.empty() || order_epoch_ != epoch) {
      order_ = permutation(data_->size(), seed_, epoch);
      order_epoch_ = epoch;
    }
    std::size_t const count = detail::at_most(batch_size_, data_->size() - begin);
    out.gather(*data_, part.of(view_of(order_, begin, count)), step);
  }

 private:
  choice_data const* data_;
  std::size_t batch_size_;
  std::uint64_t seed_;
  std::vector<std::uint32_t> order_;
  std::uint64_t order_epoch_ = std::numeric_limits<std::uint64_t>::max();
};
using shuffled = basic_shuffled<>;

}  // namespace prefer::inline v0_1
