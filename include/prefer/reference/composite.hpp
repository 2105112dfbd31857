// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <std::size_t Is, class R>
struct numbered_reference {
  R value;
};

template <class Numbers, class... R>
struct numbered_references;
template <std::size_t... Is, class... R>
struct numbered_references<std::index_sequence<Is...>, R...> : numbered_reference<Is, R>... {
  explicit numbered_references(R... parts) : numbered_reference<Is, R>{std::move(parts)}... {}

  void for_each(auto&& visit) {
    (visit(static_cast<numbered_reference<Is, R>&>(*this).value), ...);
  }
  void for_each(auto&& visit) const {
    (visit(static_cast<numbered_reference<Is, R> const&>(*this).value), ...);
  }
};

template <class First, class...>
struct first_of {
  using type = First;
};

template <class R, class B>
concept gives_logits =
    requires(R& r, B const& batch, std::span<typename R::value_type> out) { r.logit(batch, out); };
template <class R>
concept versioned = requires(R const& r) {
  { r.version() } -> std::convertible_to<std::uint64_t>;
};
template <class R>
concept moves_after_every_step = requires { requires R::moves_every_step; };

}  // namespace detail

/// Several references that are kept, moved, saved and restored together: what mixture, geometric_mixture and
/// per_prompt have in common. How their numbers become one is theirs to say.
///
/// Part k saves itself under the prefix "reference/k/" where its save and load take a prefix. Of parts whose
/// save takes none, only one can name its entries freely; the archive refuses a name that is given twice.
template <class... R>
class composite {
 public:
  using value_type = typename detail::first_of<R...>::type::value_type;
  static_assert((std::same_as<typename R::value_type, value_type> && ...),
                "prefer: references that are combined have the same value_type");
  static constexpr std::size_t count = sizeof...(R);
  static constexpr bool moves = (MovingReference<R> || ...);
  static constexpr bool moves_every_step = (detail::moves_after_every_step<R> || ...);

  explicit composite(R... parts) : parts_(std::move(parts)...) {}

  /// Calls visit(part) for each, in order.
  void for_each(auto&& visit) { parts_.for_each(visit); }
  void for_each(auto&& visit) const { parts_.for_each(visit); }

  template <class P>
  void after_step(P& policy, std::uint64_t step) {
    for_each([&](auto& part) {
      if constexpr (requires { part.after_step(policy, step); }) part.after_step(policy, step);
    });
  }

  void save(archive_writer& file, std::string const& prefix = "reference/") {
    std::size_t k = 0;
    for_each([&](auto& part) {
      std::string const own = prefix + std::to_string(k++) + "/";
      if constexpr (requires { part.save(file, own); }) {
        part.save(file, own);
      } else if constexpr (requires { part.save(file); }) {
        part.save(file);
      }
    });
  }

  /// Nothing changes where a part refuses: each is tried on a copy first, where it can be copied.
  void load(archive const& file, std::string const& prefix = "reference/") {
    for_each_prefix(prefix, [&](auto& part, std::string const& own) {
      using part_type = std::remove_cvref_t<decltype(part)>;
      if constexpr (count > 1 && std::copy_constructible<part_type> && loads<part_type>) {
        part_type copy(part);
        load_part(copy, file, own);
      }
    });
    for_each_prefix(prefix, [&](auto& part, std::string const& own) {
      if constexpr (loads<std::remove_cvref_t<decltype(part)>>) load_part(part, file, own);
    });
  }

  void use(executor threads) {
    for_each([&](auto& part) {
      if constexpr (requires { part.use(threads); }) part.use(threads);
    });
  }

  /// Of the parts in their order; a part without an identity counts by its place.
  [[nodiscard]] std::uint64_t identity() {
    fingerprint out;
    out.add(static_cast<std::uint64_t>(count));
    for_each([&]<class Part>(Part& part) {
      out.add(detail::identified_reference<Part>).add(identity_of_reference(part));
    });
    return out.value();
  }

  [[nodiscard]] bool normalised() const {
    bool all = true;
    for_each([&](auto const& part) { all = all && is_normalised(part); });
    return all;
  }

  /// Grows when a part moves.
  [[nodiscard]] std::uint64_t version() const
    requires((!MovingReference<R> || detail::versioned<R>) && ...)
  {
    std::uint64_t out = 0;
    for_each([&](auto const& part) {
      if constexpr (requires { part.version(); }) out += part.version();
    });
    return out;
  }

 private:
  template <class Part>
  static constexpr bool loads = requires(Part& part, archive const& file) { part.load(file); };

  static void load_part(auto& part, archive const& file, std::string const& prefix) {
    if constexpr (requires { part.load(file, prefix); }) {
      part.load(file, prefix);
    } else {
      part.load(file);
    }
  }
  void for_each_prefix(std::string const& prefix, auto&& visit) {
    std::size_t k = 0;
    for_each([&](auto& part) { visit(part, prefix + std::to_string(k++) + "/"); });
  }

  detail::numbered_references<std::index_sequence_for<R...>, R...> parts_;
};

}  // namespace prefer::inline v0_1
