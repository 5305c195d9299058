"""Folders as public data sets are laid out, in miniature, and the cases that they hold."""

import pytest

from autoseg import layouts
from autoseg.errors import LayoutError
from tests.layouts.folders import make, read


def test_one_folder_per_case_with_image_and_segmentation(tmp_path):  # as KiTS
    found = layouts.find(make(tmp_path, "case_0000{0,1,2}/imaging.nii.gz \n case_0000{0,1,2}/segmentation.nii.gz #"))
    assert found.layout == "cases"
    assert read(found) == {
        f"case_0000{n}": (f"case_0000{n}/imaging.nii.gz", "->", f"case_0000{n}/segmentation.nii.gz") for n in range(3)
    }


def test_masks_by_several_readers_beside_an_agreed_one(tmp_path):  # as KiTS 2021
    tree = """
        case_0{0,1}/imaging.nii.gz
        case_0{0,1}/aggregated_{AND,MAJ,OR}_seg.nii.gz #
        case_0{0,1}/segmentations/kidney_instance-1_annotation-{1,2}.nii.gz #
    """
    found = layouts.find(make(tmp_path, tree))
    assert read(found)["case_00"] == ("case_00/imaging.nii.gz", "->", "case_00/aggregated_MAJ_seg.nii.gz")
    why = dict(zip(found.left_over, found.left_over_because, strict=True))
    assert "several readers" in why["case_00/aggregated_AND_seg.nii.gz"]
    assert "case_00/segmentations/ (2 files)" in why


@pytest.mark.parametrize("group", ["", "HGG/", "MICCAI/HGG/"])
def test_the_name_of_the_case_in_the_names_of_its_files(tmp_path, group):  # as BraTS
    tree = """
        BraTS20_001/BraTS20_001_{flair,t1,t1ce,t2}.nii.gz
        BraTS20_001/BraTS20_001_seg.nii.gz #
        BraTS20_002/BraTS20_002_{flair,t1,t1ce,t2}.nii.gz
        BraTS20_002/BraTS20_002_seg.nii.gz #
    """.replace("BraTS20_001/", f"{group}BraTS20_001/").replace("BraTS20_002/", f"{group}BraTS20_002/")
    found = layouts.find(make(tmp_path, tree))
    start = f"{group}BraTS20_001/BraTS20_001_"
    assert found.channels == ("flair", "t1", "t1ce", "t2")
    assert len(found.cases) == len({case.subject for case in found.cases}) == 2
    assert read(found)["BraTS20_001"] == (
        *(f"{start}{channel}.nii.gz" for channel in found.channels),
        "->",
        f"{start}seg.nii.gz",
    )


def test_case_folders_in_groups_and_cases_to_predict(tmp_path):
    tree = """
        HGG/p{1,2}/{a,b}.nii.gz
        HGG/p{1,2}/seg.nii.gz #
        LGG/p3/{a,b}.nii.gz
        LGG/p3/seg.nii.gz #
        validation/p4/{a,b}.nii.gz
    """
    cases = read(layouts.find(make(tmp_path, tree)))
    assert set(cases) == {"p1", "p2", "p3", "p4"}
    assert cases["p4"] == ("validation/p4/a.nii.gz", "validation/p4/b.nii.gz", "->")


def test_a_folder_per_visit_below_a_folder_per_person(tmp_path):
    tree = "p{1,2}/visit{1,2}/{t1,flair}.nii.gz \n p{1,2}/visit{1,2}/lesions_mask.nii.gz #"
    found = layouts.find(make(tmp_path, tree))
    assert {case.case: case.subject for case in found.cases} == {
        f"p{p}_visit{v}": f"p{p}" for p in (1, 2) for v in (1, 2)
    }
    assert "2 subjects from the folders" in found.grouping


def test_volume_and_segmentation_in_one_flat_folder(tmp_path):  # as LiTS
    found = layouts.find(make(tmp_path, "volume-{0,1,10}.nii \n segmentation-{0,1,10}.nii #"))
    assert read(found) == {f"volume-{n}": (f"volume-{n}.nii", "->", f"segmentation-{n}.nii") for n in (0, 1, 10)}


def test_volume_and_segmentation_in_batches(tmp_path):
    tree = "Batch {1,2}/volume-{0,1}.nii \n Batch {1,2}/segmentation-{0,1}.nii #"
    found = layouts.find(make(tmp_path, tree))
    assert len(found.cases) == 4
    assert all(case.label == case.images[0].replace("volume", "segmentation") for case in found.cases)


def test_one_file_per_structure(tmp_path):  # as TotalSegmentator
    tree = """
        meta.csv
        s000{1,2}/ct.nii.gz
        s000{1,2}/segmentations/{liver,spleen,femur_left}.nii.gz #
    """
    found = layouts.find(make(tmp_path, tree))
    [first, _] = found.cases
    assert (first.case, first.images, first.label) == ("s0001", ("s0001/ct.nii.gz",), None)
    assert {each.name: each.file for each in first.structures} == {
        name: f"s0001/segmentations/{name}.nii.gz" for name in ("femur_left", "liver", "spleen")
    }


def test_structures_beside_the_image_are_known_by_their_contents(tmp_path):
    found = layouts.find(make(tmp_path, "p{1,2}/ct.nii.gz \n p{1,2}/{liver,tumour}.nii.gz #"))
    assert read(found)["p1"] == ("p1/ct.nii.gz", "->", "p1/liver.nii.gz", "p1/tumour.nii.gz")


def test_a_structure_that_only_some_cases_have(tmp_path):
    tree = """
        p{1,2,3}/ct.nii.gz
        p{1,2,3}/masks/liver.nii.gz #
        p{1,2}/masks/tumour.nii.gz #
    """
    found = layouts.find(make(tmp_path, tree))
    assert [[each.name for each in case.structures] for case in found.cases] == [
        ["liver", "tumour"],
        ["liver", "tumour"],
        ["liver"],
    ]


def test_one_mask_per_object(tmp_path):  # as the Data Science Bowl 2018
    tree = """
        a1f/images/a1f.png
        a1f/masks/{77,ab,c0}.png #
        b22/images/b22.png
        b22/masks/{9d,e1}.png #
    """
    found = layouts.find(make(tmp_path, tree))
    assert read(found)["b22"] == ("b22/images/b22.png", "->", "b22/masks/9d.png", "b22/masks/e1.png")
    assert {each.name for case in found.cases for each in case.structures} == {"foreground"}


def test_several_cases_in_the_folder_of_a_patient(tmp_path):  # as ACDC
    tree = """
        training/patient001/Info.cfg
        training/patient001/patient001_{4d,frame01,frame12}.nii.gz
        training/patient001/patient001_frame{01,12}_gt.nii.gz #
        training/patient002/patient002_{4d,frame01,frame14}.nii.gz
        training/patient002/patient002_frame{01,14}_gt.nii.gz #
        testing/patient101/patient101_{4d,frame01,frame09}.nii.gz
        testing/patient101/patient101_frame{01,09}_gt.nii.gz #
    """
    found = layouts.find(make(tmp_path, tree))
    start = "training/patient001/patient001_frame"
    assert read(found)["patient001_frame12"] == (f"{start}12.nii.gz", "->", f"{start}12_gt.nii.gz")
    assert {case.subject for case in found.cases} == {"patient001", "patient002", "patient101"}
    assert [case.case for case in found.cases if case.given_holdout] == ["patient101_frame01", "patient101_frame09"]
    assert [path.rpartition("_")[2] for path in found.left_over] == ["4d.nii.gz"] * 3


def test_pictures_and_masks_in_one_folder_or_two(tmp_path):  # as ISIC
    one = layouts.find(make(tmp_path / "one", "ISIC_000{0,1}.jpg \n ISIC_000{0,1}_segmentation.png #"))
    assert read(one) == {f"ISIC_000{n}": (f"ISIC_000{n}.jpg", "->", f"ISIC_000{n}_segmentation.png") for n in (0, 1)}
    tree = """
        ISIC2018_Task1-2_Training_Input/ISIC_000{0,1}.jpg
        ISIC2018_Task1_Training_GroundTruth/ISIC_000{0,1}_segmentation.png #
        ISIC2018_Task1-2_Test_Input/ISIC_000{8,9}.jpg
        ISIC2018_Task1_Test_GroundTruth/ISIC_000{8,9}_segmentation.png #
    """
    two = layouts.find(make(tmp_path / "two", tree))
    assert [case.case for case in two.cases if case.given_holdout] == ["ISIC_0008", "ISIC_0009"]
    assert all(case.labelled for case in two.cases)
    assert len(two.cases) == 4


def test_parts_with_a_field_of_view_and_two_readers(tmp_path):  # as DRIVE
    tree = """
        training/images/2{1,2}_training.tif
        training/1st_manual/2{1,2}_manual1.png #
        training/mask/2{1,2}_training_mask.png #
        test/images/0{1,2}_test.tif
        test/1st_manual/0{1,2}_manual1.png #
        test/2nd_manual/0{1,2}_manual2.png #
        test/mask/0{1,2}_test_mask.png #
    """
    found = layouts.find(make(tmp_path, tree))
    assert read(found) == {
        **{
            f"2{n}_training": (f"training/images/2{n}_training.tif", "->", f"training/1st_manual/2{n}_manual1.png")
            for n in (1, 2)
        },
        **{f"0{n}_test": (f"test/images/0{n}_test.tif", "->", f"test/1st_manual/0{n}_manual1.png") for n in (1, 2)},
    }
    assert [case.case for case in found.cases if case.given_holdout] == ["01_test", "02_test"]
    assert found.left_over == ("test/2nd_manual/ (2 files)", "test/mask/ (2 files)", "training/mask/ (2 files)")


def test_a_test_part_without_masks_is_predicted(tmp_path):
    tree = """
        training/images/2{1,2}_training.tif
        training/1st_manual/2{1,2}_manual1.png #
        test/images/0{1,2}_test.tif
    """
    found = layouts.find(make(tmp_path, tree))
    assert [case.case for case in found.cases if not case.labelled] == ["01_test", "02_test"]
    assert not any(case.given_holdout for case in found.cases)


def test_train_val_and_test_folders_with_the_same_names_in_them(tmp_path):
    tree = "{train,val,test}/images/{1,2}.png \n {train,val,test}/masks/{1,2}.png #"
    found = layouts.find(make(tmp_path, tree))
    assert read(found)["val_2"] == ("val/images/2.png", "->", "val/masks/2.png")
    assert [case.case for case in found.cases if case.given_holdout] == ["test_1", "test_2"]


def test_parts_below_images_and_masks(tmp_path):
    found = layouts.find(make(tmp_path, "images/{train,test}/{1,2}.png \n masks/{train,test}/{1,2}.png #"))
    assert read(found)["train_2"] == ("images/train/2.png", "->", "masks/train/2.png")
    assert [case.case for case in found.cases if case.given_holdout] == ["test_1", "test_2"]


def test_folders_of_a_competition(tmp_path):  # as Carvana
    found = layouts.find(make(tmp_path, "train/{a,b}.jpg \n train_masks/{a,b}_mask.png # \n test/{c,d}.jpg"))
    assert read(found) == {
        "a": ("train/a.jpg", "->", "train_masks/a_mask.png"),
        "b": ("train/b.jpg", "->", "train_masks/b_mask.png"),
        "c": ("test/c.jpg", "->"),
        "d": ("test/d.jpg", "->"),
    }


def test_decathlon_folders_without_their_declaration(tmp_path):
    tree = "imagesTr/a_{0,1}.nii.gz \n labelsTr/a_{0,1}.nii.gz # \n imagesTs/a_2.nii.gz"
    found = layouts.find(make(tmp_path, tree))
    assert (found.layout, [case.labelled for case in found.cases]) == ("pairs", [True, True, False])


def test_tiff_images_and_tif_masks(tmp_path):
    found = layouts.find(make(tmp_path, "images/{1,2,3}.tiff \n masks/{1,2,3}.tif #"))
    assert read(found)["3"] == ("images/3.tiff", "->", "masks/3.tif")


def test_mask_and_image_told_by_suffix_alone(tmp_path):
    found = layouts.find(make(tmp_path, "{1,2,3}.jpg \n {1,2,3}.png #"))
    assert read(found)["3"] == ("3.jpg", "->", "3.png")


def test_detached_headers(tmp_path):  # as PROMISE12
    found = layouts.find(make(tmp_path, "Case0{0,1}.mhd \n Case0{0,1}_segmentation.mhd #"))
    assert (tmp_path / "Case00.raw").is_file()
    assert read(found) == {f"Case0{n}": (f"Case0{n}.mhd", "->", f"Case0{n}_segmentation.mhd") for n in (0, 1)}
    assert found.left_over == ()


def test_classes_of_pictures_in_folders_of_their_own(tmp_path):  # as BUSI
    tree = "{benign,malignant}/x ({1,2}).png \n {benign,malignant}/x ({1,2})_mask.png #"
    found = layouts.find(make(tmp_path, tree))
    assert read(found)["benign_x (1)"] == ("benign/x (1).png", "->", "benign/x (1)_mask.png")
    assert len(found.cases) == 4


def test_channels_in_folders_of_their_own(tmp_path):
    found = layouts.find(make(tmp_path, "{t1,t2,flair}/p{1,2}.nii.gz \n labels/p{1,2}.nii.gz #"))
    assert found.channels == ("flair", "t1", "t2")
    assert read(found)["p2"] == ("flair/p2.nii.gz", "t1/p2.nii.gz", "t2/p2.nii.gz", "->", "labels/p2.nii.gz")


def test_channels_by_the_last_word_of_the_name(tmp_path):
    found = layouts.find(make(tmp_path, "images/p{1,2}_{T1,FLAIR}.nii.gz \n masks/p{1,2}.nii.gz #"))
    assert found.channels == ("FLAIR", "T1")
    assert read(found)["p2"] == ("images/p2_FLAIR.nii.gz", "images/p2_T1.nii.gz", "->", "masks/p2.nii.gz")


def test_structures_in_folders_of_their_own(tmp_path):  # as JSRT and Montgomery
    found = layouts.find(make(tmp_path, "CXR_png/x_{1,2}.png \n ManualMask/{leftMask,rightMask}/x_{1,2}.png #"))
    assert read(found)["x_2"] == (
        "CXR_png/x_2.png",
        "->",
        "ManualMask/leftMask/x_2.png",
        "ManualMask/rightMask/x_2.png",
    )
    assert [each.name for each in found.cases[0].structures] == ["left", "right"]


def test_readers_in_folders_of_their_own(tmp_path):
    found = layouts.find(make(tmp_path, "images/x_{1,2}.png \n masks/rater{1,2}/x_{1,2}.png #"))
    assert read(found)["x_2"] == ("images/x_2.png", "->", "masks/rater1/x_2.png")
    assert found.left_over == ("masks/rater2/ (2 files)",)
    assert "several readers" in found.left_over_because[0]


def test_structures_by_the_last_word_of_the_name(tmp_path):
    found = layouts.find(make(tmp_path, "p{1,2}.nii.gz \n p{1,2}_{liver,spleen}_mask.nii.gz #"))
    assert read(found)["p2"] == ("p2.nii.gz", "->", "p2_liver_mask.nii.gz", "p2_spleen_mask.nii.gz")
    assert [each.name for each in found.cases[0].structures] == ["liver", "spleen"]


def test_two_readers_told_by_contents_alone(tmp_path):  # as CHASE_DB1
    found = layouts.find(make(tmp_path, "Image_0{1,2}{L,R}.jpg \n Image_0{1,2}{L,R}_{1stHO,2ndHO}.png #"))
    assert len(found.cases) == 4
    assert read(found)["Image_01R"] == ("Image_01R.jpg", "->", "Image_01R_1stHO.png")
    assert found.left_over_because[0] == "masks of several readers; 1stHO is used"


def test_slices_in_the_folder_of_a_patient(tmp_path):  # as the LGG set of Kaggle
    tree = "\n".join(
        f"kaggle_3m/TCGA_{p}_2000/TCGA_{p}_2000_{{1,2}}.tif \n kaggle_3m/TCGA_{p}_2000/TCGA_{p}_2000_{{1,2}}_mask.tif #"
        for p in ("C1", "C2", "D1")
    )
    found = layouts.find(make(tmp_path, tree))
    assert len(found.cases) == 6
    assert all(case.labelled for case in found.cases)
    assert len({case.subject for case in found.cases}) == 3


def test_slices_in_folders_of_patients_below_images_and_masks(tmp_path):
    found = layouts.find(make(tmp_path, "images/p{1,2,3}/{1,2}.png \n masks/p{1,2,3}/{1,2}.png #"))
    assert len(found.cases) == 6
    assert len({case.subject for case in found.cases}) == 3


def test_studies_of_a_patient_have_names_of_their_own(tmp_path):  # as autoPET
    tree = "\n".join(f"PETCT_{p}/2003-0{p}-{{1,2}}/{{CT,SUV}}.nii.gz" for p in range(1, 6))
    tree += "\n" + "\n".join(f"PETCT_{p}/2003-0{p}-{{1,2}}/SEG.nii.gz #" for p in range(1, 6))
    found = layouts.find(make(tmp_path, tree))
    assert (len(found.cases), len({case.subject for case in found.cases})) == (10, 5)
    assert found.channels == ("CT", "SUV")


def test_channels_with_two_underscores(tmp_path):  # as HECKTOR
    found = layouts.find(make(tmp_path, "imagesTr/CHUM-00{1,2}__{CT,PT}.nii.gz \n labelsTr/CHUM-00{1,2}.nii.gz #"))
    assert found.channels == ("CT", "PT")
    assert all(case.labelled for case in found.cases)


def test_masks_of_the_brain_beside_those_of_the_tumour(tmp_path):  # as UCSF-PDGM
    tree = "\n".join(
        f"U-{n}_nifti/U-{n}_{{T1,FLAIR}}.nii.gz \n U-{n}_nifti/U-{n}_{{brain,tumor}}_segmentation.nii.gz #"
        for n in ("004", "005")
    )
    found = layouts.find(make(tmp_path, tree))
    assert found.channels == ("FLAIR", "T1")
    assert read(found)["U-004_nifti"][-2:] == ("->", "U-004_nifti/U-004_tumor_segmentation.nii.gz")


def test_names_that_differ_in_case_between_images_and_masks(tmp_path):
    found = layouts.find(make(tmp_path, "images/Case{1,2}.nii.gz \n masks/case{1,2}_seg.nii.gz #"))
    assert read(found)["Case2"] == ("images/Case2.nii.gz", "->", "masks/case2_seg.nii.gz")


def test_contrasts_of_a_case_whose_mask_says_more_than_mask(tmp_path):  # as PROSTATEx
    found = layouts.find(make(tmp_path, "images/P-{1,2}_{t2,adc}.nii.gz \n masks/P-{1,2}_lesion.nii.gz #"))
    assert found.channels == ("adc", "t2")
    assert read(found)["P-2"] == ("images/P-2_adc.nii.gz", "images/P-2_t2.nii.gz", "->", "masks/P-2_lesion.nii.gz")


def test_inner_folders_of_images_beside_the_mask(tmp_path):  # as MRBrainS and the WMH challenge
    for name in ("segm", "wmh"):
        tree = f"Utrecht/{{0,2}}/pre/{{FLAIR,T1}}.nii.gz \n Utrecht/{{0,2}}/{name}.nii.gz #"
        found = layouts.find(make(tmp_path / name, tree))
        assert found.channels == ("FLAIR", "T1")
        assert read(found)["2"][-1] == f"Utrecht/2/{name}.nii.gz"


def test_numbers_with_and_without_leading_zeros(tmp_path):
    found = layouts.find(make(tmp_path, "images/img_{1,2,10}.png \n masks/mask_{001,002,010}.png #"))
    assert read(found)["img_10"] == ("images/img_10.png", "->", "masks/mask_010.png")


@pytest.mark.parametrize(
    ("tree", "files"),
    [
        ("ct.nii.gz \n seg.nii.gz #", ("ct.nii.gz", "->", "seg.nii.gz")),
        ("{t1,t2}.nii.gz \n label.nii.gz #", ("t1.nii.gz", "t2.nii.gz", "->", "label.nii.gz")),
        (
            "ct.nii.gz \n segmentations/{a,b}.nii.gz #",
            ("ct.nii.gz", "->", "segmentations/a.nii.gz", "segmentations/b.nii.gz"),
        ),
    ],
)
def test_the_folder_of_a_single_case(tmp_path, tree, files):
    found = layouts.find(make(tmp_path / "patient3", tree))
    assert read(found) == {"patient3": files}


def test_unrelated_files_are_no_single_case(tmp_path):
    with pytest.raises(LayoutError):
        layouts.find(make(tmp_path, "anna.nii.gz \n berta_mask.nii.gz #"))


def test_a_folder_that_holds_no_case_is_left_over_among_cases(tmp_path):
    found = layouts.find(make(tmp_path, "p{1,2,3}/ct.nii.gz \n p{1,2,3}/seg.nii.gz # \n extra/atlas.nii.gz"))
    assert list(read(found)) == ["p1", "p2", "p3"]
    assert found.left_over == ("extra/atlas.nii.gz",)
