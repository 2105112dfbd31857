// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/reference/composite.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// A reference that is kept, moved, saved and restored as part of another: the base of references that wrap one, as
/// composite is of those that combine several. How its numbers become others is the derived class's to say.
///
/// Passed on is what the wrapped reference has: after_step, version, use, normalised, identity, and save and load, under
/// the prefix that it is given where it takes one. A derived class that changes numbers hides identity by its own.
template <class R>
class reference_wrapper {
 public:
  using value_type = typename R::value_type;
  static constexpr bool moves = MovingReference<R>;
  static constexpr bool moves_every_step = detail::moves_after_every_step<R>;

  explicit reference_wrapper(R reference) : reference_(std::move(reference)) {}

  [[nodiscard]] R const& reference() const { return reference_; }

  template <class P>
  void after_step(P& policy, std::uint64_t step) {
    if constexpr (requires { reference_.after_step(policy, step); }) {
      reference_.after_step(policy, step);
    }
  }
  void save(archive_writer& file, std::string const& prefix = "reference/") {
    if constexpr (requires { reference_.save(file, prefix); }) {
      reference_.save(file, prefix);
    } else if constexpr (requires { reference_.save(file); }) {
      reference_.save(file);
    }
  }
  void load(archive const& file, std::string const& prefix = "reference/") {
    if constexpr (requires { reference_.load(file, prefix); }) {
      reference_.load(file, prefix);
    } else if constexpr (requires { reference_.load(file); }) {
      reference_.load(file);
    }
  }
  [[nodiscard]] bool normalised() const { return is_normalised(reference_); }
  [[nodiscard]] std::uint64_t identity()
    requires detail::identified_reference<R>
  {
    return identity_of_reference(reference_);
  }
  [[nodiscard]] std::uint64_t version() const
    requires detail::versioned<R>
  {
    return static_cast<std::uint64_t>(reference_.version());
  }
  void use(executor threads) {
    if constexpr (requires { reference_.use(threads); }) reference_.use(threads);
  }

 protected:
  R reference_;
};

}  // namespace prefer::inline v0_1
