// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/beta/schedule.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/trainer.hpp>

#include "likelihood.hpp"
#include "training.hpp"

// The trainers of all losses take long to compile, so they are spread over units that are hardly optimised: a loss is
// evaluated on a few rows beside a model's forward pass. What takes time for a large model is in a unit of its own.

extern template class prefer::adamw<float>;
extern template void prefer::zero_gradients<float>(std::span<prefer::parameter<float> const>,
                                                   prefer::executor const&);
extern template double prefer::gradient_norm<std::vector<prefer::parameter<float>>>(
    std::vector<prefer::parameter<float>> const&, prefer::gradient_norm_memory&,
    prefer::executor const&);

namespace tune {

template <prefer::Loss L>
class training_of final : public training {
 public:
  training_of(L const& loss, training_parts const& parts)
      : trainer_(parts.policy, loss, parts.reference, parts.source, parts.options) {}

  prefer::run_outcome run(std::function<bool(prefer::step_report const&)> const& on_step,
                          std::function<bool(prefer::part_report const&)> const& on_part) override {
    return trainer_.run(on_step, on_part);
  }
  void save(std::string const& path) const override { trainer_.save(path); }
  void resume(std::string const& path) override { trainer_.resume(path); }
  [[nodiscard]] bool done() const override { return trainer_.done(); }
  [[nodiscard]] std::uint64_t steps_done() const override { return trainer_.steps_done(); }
  [[nodiscard]] std::uint64_t steps_planned() const override { return trainer_.steps_planned(); }

 private:
  prefer::trainer<policy_handle, L, reference_handle, prefer::beta_of_the_loss, prefer::any_source&>
      trainer_;
};

/// How many units the trainers are spread over, and the unit of a loss.
inline constexpr std::size_t units = 4;
[[nodiscard]] constexpr std::size_t unit_of(std::string_view name) {
  std::size_t sum = 0;
  for (char const c : name) sum = 31 * sum + static_cast<unsigned char>(c);
  return sum % units;
}

/// The trainer of a loss that is in this unit; null for others.
template <std::size_t Unit>
[[nodiscard]] std::unique_ptr<training> make_in_unit(chosen_loss const& chosen,
                                                     training_parts const& parts);

template <prefer::Loss L>
[[nodiscard]] std::unique_ptr<training> make_training_of(L loss, chosen_loss const& chosen,
                                                         training_parts const& parts) {
  for (setting const& one : chosen.settings) prefer::set_parameter(loss, one.name, one.value);
  return std::make_unique<training_of<L>>(loss, parts);
}

/// What a unit instantiates.
template <std::size_t Unit>
[[nodiscard]] std::unique_ptr<training> find_in_unit(chosen_loss const& chosen,
                                                     training_parts const& parts) {
  std::unique_ptr<training> out;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, prefer::loss_info const& about) {
    if constexpr (unit_of(L::name) == Unit && !has_demonstrations<L>) {
      if (about.own_samples || chosen.facts.name != L::name) return;
      out = make_training_of(loss, chosen, parts);
    }
  });
  return out;
}

template <>
std::unique_ptr<training> make_in_unit<0>(chosen_loss const&, training_parts const&);
template <>
std::unique_ptr<training> make_in_unit<1>(chosen_loss const&, training_parts const&);
template <>
std::unique_ptr<training> make_in_unit<2>(chosen_loss const&, training_parts const&);
template <>
std::unique_ptr<training> make_in_unit<3>(chosen_loss const&, training_parts const&);

}  // namespace tune
