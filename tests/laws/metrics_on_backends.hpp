// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

#include "laws/every_metric.hpp"
#include "laws/on_backends.hpp"

namespace prefer::test {

/// Every metric of batches in that place is the one of the host.
template <class Place>
void every_metric_is_the_same(Place& place) {
  uploads_to<Place> const upload{&place};
  column_set const read = column_name::reference | column_name::length | column_name::score |
                          column_name::label | column_name::beta;
  twice<Place, basic_pair_columns> const pairs(upload, read);
  twice<Place, basic_unpaired_columns> const labelled(upload, read);
  twice<Place, basic_list_columns> const lists(upload, read);
  std::vector<double> uniform;
  for (std::size_t g = 0; g < lists.here.size(); ++g) {
    std::size_t const length = lists.here.offset[g + 1] - lists.here.offset[g];
    uniform.insert(uniform.end(), length, -std::log(static_cast<double>(length)));
  }
  auto const uniform_there = upload(uniform);
  measured_batches<column> here{pairs.here, labelled.here, lists.here, lists.here};
  here.complete.policy = uniform;
  measured_batches<column_of<Place>> there{pairs.there, labelled.there, lists.there, lists.there};
  there.complete.policy = testing::detail::view_of_uploaded<column_of<Place>>(uniform_there);

  auto const wanted = every_metric(here), got = every_metric(there);
  REQUIRE(got.size() == wanted.size());
  CHECK(got.size() > 150);
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(wanted[i].name);
    CHECK(near(got[i].value, wanted[i].value, 1e-11, 1.0));
  }
}

}  // namespace prefer::test
