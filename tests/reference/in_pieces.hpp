// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <support/temporary_folder.hpp>
#include <train/small_problem.hpp>
#include <utility>
#include <vector>

namespace small {

inline prefer::train_options const in_short_steps = {
    .batch_size = 4, .epochs = 3, .seed = 5, .rate = 0.1};

/// Loss and beta of every step of a run, and the parameters at its end.
struct course {
  std::vector<double> numbers;
  std::vector<double> end;
  friend bool operator==(course const&, course const&) = default;

  void add(prefer::step_report const& report) {
    numbers.push_back(report.loss);
    numbers.push_back(report.beta);
  }
};

/// A run over ten examples of the table, 9 steps. `make_reference(policy)`, `make_beta()`.
template <class L, class Beta>
course course_of(L const& loss, prefer::choice_data const& data, auto&& make_reference,
                 Beta const& beta) {
  course out;
  auto policy = small::policy<prefer::tabular<double>>();
  auto reference = make_reference(policy);
  prefer::trainer run(policy, loss, reference, data, in_short_steps, beta);
  run.run([&](prefer::step_report const& report) { out.add(report); });
  out.end = state_of(policy);
  return out;
}

/// The same, saved after every step and continued by a new policy, reference, rule and trainer that know only the
/// file.
template <class L, class Beta>
course course_in_pieces(L const& loss, prefer::choice_data const& data, auto&& make_reference,
                        Beta const& beta) {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  course out;
  for (bool done = false; !done;) {
    auto policy = small::policy<prefer::tabular<double>>();
    auto reference = make_reference(policy);
    prefer::trainer run(policy, loss, reference, data, in_short_steps, beta);
    if (!out.numbers.empty()) run.resume(path);
    out.add(run.step());
    run.save(path);
    done = run.done();
    out.end = state_of(policy);
  }
  return out;
}

template <class L, class Beta = prefer::beta_of_the_loss>
void resumes_to_the_same_bits(L const& loss, prefer::choice_data const& data, auto&& make_reference,
                              Beta const& beta = {}) {
  auto const whole = course_of(loss, data, make_reference, beta);
  CHECK(whole.numbers.size() == 18);
  CHECK(whole == course_in_pieces(loss, data, make_reference, beta));
}

}  // namespace small
