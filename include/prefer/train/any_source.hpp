// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/train/example_source.hpp>

namespace prefer::inline v0_1 {

/// A source of examples behind a handle, so that one trainer serves all sources: see any_policy.
///
///   prefer::sampled drawn(policy, table, prompts, judge, how);
///   prefer::any_source source(drawn);
///   prefer::trainer run(policy, prefer::dpo{}, reference, source, options);
///
/// Two pointers; it does not own the source, which outlives it. A run has the same bits, and writes the same checkpoints,
/// as one on the source itself.
class any_source {
 public:
  template <class S>
    requires ExampleSource<S> && (!std::same_as<S, any_source>)
  explicit any_source(S& source) : source_(&source), calls_(&calls_of<S>) {
    static_assert(!detail::has_state<S>,
                  "prefer: a checkpoint would not hold the state of this source; give it to the "
                  "trainer itself");
  }
  // clang-format off
  template <class S>
    requires(!std::same_as<S, any_source>)
  explicit any_source(S const&&) = delete;  // prefer: the source outlives the handle; give it a name
  // clang-format on

  /// The examples of all steps; null where they are not known before.
  [[nodiscard]] choice_data const* data() const { return calls_->data(source_); }
  [[nodiscard]] std::uint64_t steps_per_epoch() const { return calls_->steps_per_epoch(source_); }
  [[nodiscard]] std::uint64_t identity() const { return calls_->identity(source_); }
  void gather(std::uint64_t step, batch_part const& part, choice_minibatch& out) {
    calls_->gather(source_, step, part, out);
  }

 private:
  struct calls {
    choice_data const* (*data)(void const*);
    std::uint64_t (*steps_per_epoch)(void const*);
    std::uint64_t (*identity)(void const*);
    void (*gather)(void*, std::uint64_t, batch_part const&, choice_minibatch&);
  };

  template <class S>
  static constexpr calls calls_of = {
      .data = [](void const* s) -> choice_data const* {
        return detail::data_of(*static_cast<S const*>(s));
      },
      .steps_per_epoch = [](void const* s) -> std::uint64_t {
        return static_cast<S const*>(s)->steps_per_epoch();
      },
      .identity = [](void const* s) -> std::uint64_t {
        return static_cast<std::uint64_t>(static_cast<S const*>(s)->identity());
      },
      .gather = [](void* s, std::uint64_t step, batch_part const& part,
                   choice_minibatch& out) { static_cast<S*>(s)->gather(step, part, out); }};

  void* source_;
  calls const* calls_;
};

}  // namespace prefer::inline v0_1
